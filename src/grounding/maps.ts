import { resizeBilinear as resize } from "../data/resize.ts";

/**
 * A square map scaled to another side, bilinear with half-pixel centres and repeated edges (OpenCV's INTER_LINEAR).
 * map [side * side] -> [size * size]
 */
export function resizeBilinear(map: ArrayLike<number>, side: number, size: number): Float32Array {
  return resize(map, { width: side, height: side }, { width: size, height: size });
}

/** A mask scaled to another side: bilinear, then rounded (a half becomes 0, as NumPy rounds it). [side * side] -> [size * size] */
export function resizeMask(mask: ArrayLike<number>, side: number, size: number): Uint8Array {
  const scaled = resizeBilinear(mask, side, size);
  const rounded = new Uint8Array(scaled.length);
  for (let i = 0; i < scaled.length; i++) rounded[i] = Number(scaled[i] > 0.5);
  return rounded;
}

/** (x - min) / (max - min); zeros for equal values. */
export function normalised(values: ArrayLike<number>): Float64Array {
  const x = Float64Array.from(values);
  const least = x.reduce((a, b) => Math.min(a, b), Infinity);
  const range = x.reduce((a, b) => Math.max(a, b), -Infinity) - least;
  return x.map((value) => (range > 0 ? (value - least) / range : 0));
}

/** A pixel of a map. */
export interface Point {
  /** Column, from 0 at the left. */
  x: number;
  /** Row, from 0 at the top. */
  y: number;
}

/** Where the greatest value lies: the first such pixel in reading order. `width` is that of the map. */
export function argmax(map: ArrayLike<number>, width: number): Point {
  let best = 0;
  for (let i = 1; i < map.length; i++) if (map[i] > map[best]) best = i;
  return { x: best % width, y: Math.floor(best / width) };
}

/** The rows of `length` values that stand behind one another. */
export function rowsOf(values: Float32Array, length: number): Float32Array[] {
  return Array.from({ length: values.length / length }, (_, i) => values.subarray(i * length, (i + 1) * length));
}
