import { createRandom } from "../random.ts";
import { type Plane, croppedPlane } from "../data/planes.ts";
import { planResizeCrop } from "../data/preprocess.ts";
import { multiScaleSsim } from "./ms_ssim.ts";

/** How alike the images of a set are to each other: the less, the more diverse they are. */
export interface Diversity {
  /** Pairs that were compared. */
  pairs: number;
  /** Mean of their MS-SSIM; NaN without pairs. */
  mean: number;
  /** Standard deviation of their MS-SSIM, unbiased; NaN for one pair. */
  deviation: number;
}

/** Side at which images are compared: that of Stable Diffusion's. Smaller ones are enlarged. */
export const COMPARED_SIDE = 512;

/**
 * Pairs of images of one group, such as those generated from one prompt: all, or `most` of them by lot. The same seed
 * and groups give the same pairs.
 */
export function drawPairs<T>(groups: readonly (readonly T[])[], most: number, seed: number): [T, T][] {
  const counts = groups.map(({ length }) => (length * (length - 1)) / 2);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return drawNumbers(total, most, seed).map((number) => {
    let group = 0;
    for (; number >= counts[group]; group++) number -= counts[group];
    return pairOf(groups[group], number);
  });
}

/** `most` different numbers below `total` in order, or all. */
function drawNumbers(total: number, most: number, seed: number): number[] {
  if (total <= most) return Array.from({ length: total }, (_, number) => number);
  const random = createRandom(seed);
  const drawn = new Set<number>();
  while (drawn.size < most) drawn.add(random.integer(total));
  return [...drawn].sort((a, b) => a - b);
}

/** Pair 0 is of items 0 and 1, pairs 1 and 2 are of item 2 with those, and so on. */
function pairOf<T>(items: readonly T[], number: number): [T, T] {
  let second = 1;
  for (; number >= second; second++) number -= second;
  return [items[number], items[second]];
}

/** MS-SSIM of two images, their shorter sides brought to 512 pixels and squares cut out of the middle; grey is repeated beside colour. */
export function similarity(a: readonly Plane[], b: readonly Plane[]): number {
  const [x, y] = [a, b].map((planes) => planes.map(comparedPlane));
  const channels = Math.max(x.length, y.length);
  const repeated = (planes: readonly Plane[]) => Array.from({ length: channels }, (_, c) => planes[c % planes.length]);
  return multiScaleSsim(repeated(x), repeated(y));
}

function comparedPlane(plane: Plane): Plane {
  const { width, height } = plane;
  if (width === COMPARED_SIDE && height === COMPARED_SIDE) return plane;
  const data = Float64Array.from(croppedPlane(plane, planResizeCrop(width, height, COMPARED_SIDE, COMPARED_SIDE)));
  return { width: COMPARED_SIDE, height: COMPARED_SIDE, data };
}

/** Mean and deviation of similarities. */
export function diversityOf(similarities: readonly number[]): Diversity {
  const pairs = similarities.length;
  const mean = similarities.reduce((sum, value) => sum + value, 0) / pairs;
  const squares = similarities.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { pairs, mean, deviation: Math.sqrt(squares / (pairs - 1)) };
}
