import type { Reading } from "../grounding/bias_merging.ts";
import { contrastMeter } from "../grounding/contrast_meter.ts";
import { activationMask } from "../grounding/mask.ts";
import { type GroundingMetrics, truthMetrics } from "../grounding/metrics.ts";
import type { GroundSettings } from "../grounding/options.ts";
import { composeMaps } from "./compose.ts";
import type { LayerMeans } from "./layer_means.ts";
import type { LayerObjective } from "./layer_search.ts";

/** What the map of one pair of film and phrase is measured against. */
export interface Truth {
  /** [imageSize * imageSize], 1 inside the boxes. */
  truth: Uint8Array;
  /** How many boxes it was made of. */
  boxCount: number;
}

/** Metrics of which more is better: all of `truthMetrics` but the centres' distance, which is least where a mask is empty. */
export type SearchedMetric = Exclude<keyof GroundingMetrics, "distance">;

/** What `layerObjective` is to measure. */
export interface ObjectiveOptions {
  metric: SearchedMetric;
  /** How the maps are merged; all but "none" need means with the biases. */
  merge: GroundSettings["merge"];
  /** The formulas of the paper, or what the published code computes. */
  reading: Reading;
  /** Side of the model's image in pixels. */
  imageSize: number;
}

/**
 * The mean of a metric over all pairs of `means`, of which there is one token choice and one last-n value, as a function
 * of the layers. CNR takes microseconds a map (see `contrastMeter`; a map whose mask is empty counts like any other),
 * other metrics a mask and a comparison at the image's size. Pairs whose metric is not defined are left out of the mean.
 */
export function layerObjective(means: LayerMeans, truths: readonly Truth[], { metric, merge, reading, imageSize }: ObjectiveOptions): LayerObjective {
  const { side } = means;
  const measures = truths.map((truth) => measureOf(metric, truth, { side, imageSize }));
  return async (layers) => {
    const [{ maps }] = await composeMaps(means, { layers, merges: [merge], reading });
    const values = maps.map((map, i) => measures[i](map)).filter((value) => value !== undefined && Number.isFinite(value)) as number[];
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
}

function measureOf(metric: SearchedMetric, { truth, boxCount }: Truth, sides: { side: number; imageSize: number }): (map: Float32Array) => number | undefined {
  if (metric !== "cnr" && metric !== "absoluteCnr") return (map) => truthMetrics({ map, mask: activationMask(map, sides.side).mask, ...sides, truth, boxCount })[metric];
  const contrast = contrastMeter(truth, sides);
  return metric === "cnr" ? contrast : (map) => Math.abs(contrast(map));
}
