import type { PreprocessPlan } from "../data/preprocess.ts";

/** A square of values over the part of a film that a network saw, row after row. */
export interface PatchGrid {
  readonly side: number;
  /** [side * side] */
  readonly values: Float64Array;
}

/** Vectors of length 1. */
export type UnitVector = Float64Array;

/** A vector brought to length 1. */
export function unitVector(vector: ArrayLike<number>): UnitVector {
  const values = Float64Array.from(vector);
  const length = Math.hypot(...values);
  // torch.nn.functional.normalize divides by 1e-12 at least.
  return values.map((value) => value / Math.max(length, 1e-12));
}

/** Cosines of the embeddings of patches [side * side] with that of a phrase, smoothed. */
export function similarityGrid(patches: readonly UnitVector[], phrase: UnitVector): PatchGrid {
  const cosines = Float64Array.from(patches, (patch) => patch.reduce((sum, value, i) => sum + value * phrase[i], 0));
  return smoothed({ side: Math.sqrt(patches.length), values: cosines });
}

/** Standard deviation of the smoothing in patches, and where the Gaussian is cut off in standard deviations. */
const [SIGMA, TRUNCATE] = [1.5, 4];

/** SciPy's `ndimage.gaussian_filter` with sigma 1.5; beyond the edges the grid is mirrored (d c b a | a b c d | d c b a). */
export function smoothed({ side, values }: PatchGrid): PatchGrid {
  const radius = Math.floor(TRUNCATE * SIGMA + 0.5);
  const raw = Array.from({ length: 2 * radius + 1 }, (_, k) => Math.exp(-((k - radius) ** 2) / (2 * SIGMA ** 2)));
  const sum = raw.reduce((a, b) => a + b);
  const alongAxis = (x: Float64Array, stride: number) =>
    x.map((_, i) => {
      const position = Math.floor(i / stride) % side;
      return raw.reduce((total, weight, k) => total + (weight / sum) * x[i + (mirrored(position + k - radius, side) - position) * stride], 0);
    });
  return { side, values: alongAxis(alongAxis(values, side), 1) };
}

function mirrored(position: number, side: number): number {
  const folded = ((position % (2 * side)) + 2 * side) % (2 * side);
  return folded < side ? folded : 2 * side - 1 - folded;
}

/** A grid seen over a model's image. */
export interface ImageMap {
  /** [side * side]; beyond what the network saw, the value at the nearest edge. */
  readonly map: Float64Array;
  /** [side * side], 1 where the network saw the image. */
  readonly seen: Uint8Array;
}

/**
 * A grid over the crop `from` of a film, enlarged (bilinear, half-pixel centres) onto the crop `to` of the same film: at
 * the centres of side x side cells of its `size` pixels.
 */
export function gridOverImage(grid: PatchGrid, from: PreprocessPlan, to: PreprocessPlan, side: number): ImageMap {
  const horizontal = { resized: to.resizedWidth / to.width, crop: to.cropLeft, scale: from.resizedWidth / from.width, offset: from.cropLeft };
  const vertical = { resized: to.resizedHeight / to.height, crop: to.cropTop, scale: from.resizedHeight / from.height, offset: from.cropTop };
  // The place of a cell's centre in the crop `from`, which is 0 to `from.size` wide.
  const place = ({ resized, crop, scale, offset }: typeof horizontal) =>
    Float64Array.from({ length: side }, (_, i) => (((i + 0.5) * to.size) / side + crop) / resized * scale - offset);
  const [columns, rows] = [place(horizontal), place(vertical)];
  const isSeen = (at: number) => at >= 0 && at < from.size;
  const toGrid = (at: number) => (at * grid.side) / from.size - 0.5;
  const cell = (i: number) => [rows[Math.floor(i / side)], columns[i % side]] as const;
  const cells = side * side;
  return {
    map: Float64Array.from({ length: cells }, (_, i) => interpolate(grid, ...(cell(i).map(toGrid) as [number, number]))),
    seen: Uint8Array.from({ length: cells }, (_, i) => Number(cell(i).every(isSeen))),
  };
}

/** The grid's value between its patches; at the edges that of the nearest one. */
function interpolate({ side, values }: PatchGrid, row: number, column: number): number {
  const [y, x] = [row, column].map((at) => Math.min(Math.max(at, 0), side - 1));
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [bottom, right] = [Math.min(top + 1, side - 1), Math.min(left + 1, side - 1)];
  const along = (line: number) => values[line * side + left] * (1 - (x - left)) + values[line * side + right] * (x - left);
  return along(top) * (1 - (y - top)) + along(bottom) * (y - top);
}
