import { type Box, boxMask, type PreprocessPlan } from "../data/preprocess.ts";
import type { Reading } from "../grounding/bias_merging.ts";

/**
 * The boxes of a phrase as the one mask that its map is measured against: drawn on the film, then resized and cropped
 * like it. -> [size * size], 1 inside
 */
export function truthMask(boxes: readonly Box[], plan: PreprocessPlan, reading: Reading): Uint8Array {
  // The published code resizes a boolean mask, which keeps every pixel that a box's edge has touched.
  const isInside = reading === "compat" ? (value: number) => value > 0 : (value: number) => value >= 0.5;
  return Uint8Array.from(boxMask(boxes, plan), (value) => Number(isInside(value)));
}
