import type { GroundingPipeline } from "../grounding/pipeline.ts";
import { type CaptureOptions, type CapturedPass, type SweepRequest, capturePasses } from "./capture.ts";
import { composeMaps } from "./compose.ts";
import { type SweepGrid, type SweptSettings, completeGrid, layerSetsOf } from "./grid.ts";
import { namedSet } from "./settings.ts";

/** A map of one request and one setting. */
export interface SweptMap {
  /** Index of the request. */
  request: number;
  /** The combination of the grid's values that it was made with. */
  settings: SweptSettings;
  /** [side * side] in [0, 1]. */
  map: Float32Array;
  /** Side of `map`: that of the latent. */
  side: number;
  /** SSIM of the biases; absent without a merge. */
  ssim?: number;
  /** The s of the merge, `ssim` clipped to [0, 1]; absent without one. */
  s?: number;
}

/**
 * Grounds requests with every setting of a grid, at the cost of one pass over the U-Net for each mode and number of steps:
 * token choices, merges, last-n values and layer sets follow from the means of that pass. Each map equals that of
 * `GroundingPipeline.ground` with the same settings. `requestsAtOnce` says how many requests fit the device together.
 */
export async function* sweep(pipeline: GroundingPipeline, requests: readonly SweepRequest[], options: Partial<SweepGrid> & CaptureOptions = {}): AsyncGenerator<SweptMap> {
  const { signal, onProgress, ...wanted } = options;
  const grid = completeGrid(wanted, pipeline.ldm.unet.crossAttentions.length);
  for await (const pass of capturePasses(pipeline, requests, grid, { signal, onProgress })) yield* sweptMaps(pass, grid);
}

/** The maps of every setting that a pass covers. */
export async function* sweptMaps({ means, mode, steps }: Omit<CapturedPass, "evaluations">, grid: SweepGrid): AsyncGenerator<SweptMap> {
  for (const layers of layerSetsOf(grid.layers, means.layers)) {
    for (const composed of await composeMaps(means, { layers, merges: grid.merges, reading: grid.reading })) {
      const settings: SweptSettings = {
        mode, steps,
        tokens: grid.tokens[composed.token],
        merge: composed.merge,
        lastSteps: means.lastSteps[composed.last],
        layers: namedSet(layers, means.layers.length),
      };
      for (const [request, map] of composed.maps.entries()) {
        yield { request, settings, map, side: means.side, ssim: composed.similarity?.ssim[request], s: composed.similarity?.s[request] };
      }
    }
  }
}
