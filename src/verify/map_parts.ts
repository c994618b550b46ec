import type { Box } from "../data/preprocess.ts";
import { activationMask } from "../grounding/mask.ts";
import { type GroundingMetrics, groundingMetrics } from "../grounding/metrics.ts";
import { mapBound, maskBound } from "./bounds.ts";
import { type Part, absolutePart, sharePart } from "./parts.ts";

/** A mixture as the goldens give it: the means in any order. */
export interface GoldenMixture {
  means: number[];
  threshold: number;
}

/** Metrics under the published code's names; the distance is null for several boxes. */
export type GoldenMetrics = Record<"iou" | "miou" | "bboxiou" | "bboxmiou" | "cnr" | "aucroc" | "top1", number> & { distance: number | null };

const metricNames = { iou: "iou", miou: "miou", bboxiou: "boxIou", bboxmiou: "boxMiou", cnr: "cnr", aucroc: "aucRoc", top1: "top1" } as const satisfies Record<string, keyof GroundingMetrics>;

/** A map with what is to be compared of it. */
export interface MapCase {
  name: string;
  /** [side * side] */
  map: ArrayLike<number>;
  side: number;
  imageSize: number;
  boxes: readonly Box[];
  mixture: GoldenMixture;
  mask: ArrayLike<number>;
  metrics: GoldenMetrics;
}

/** Compares mixture, mask and metrics of a map. */
export function mapParts({ name, map, side, imageSize, boxes, mixture, mask, metrics }: MapCase): Part[] {
  const found = activationMask(map, side);
  const measured = groundingMetrics({ map, mask: found.mask, side, imageSize, boxes });
  const ascending = mixture.means.toSorted((a, b) => a - b);
  return [
    absolutePart(`${name} mixture means`, found.mixture.means, ascending, mapBound),
    absolutePart(`${name} threshold`, [found.threshold], [mixture.threshold], mapBound),
    sharePart(`${name} mask`, found.mask, mask, maskBound),
    ...Object.entries(metricNames).map(([theirs, ours]) => absolutePart(`${name} ${theirs}`, [measured[ours]], [metrics[theirs as keyof typeof metricNames]], mapBound)),
    // Pixels, so relative to the image's side.
    absolutePart(`${name} distance`, [(measured.distance ?? -1) / imageSize], [(metrics.distance ?? -1) / imageSize], mapBound),
  ];
}
