import { randomValues } from "../../shaders-test/values.ts";
import { sizeOf } from "../../src/tensor.ts";
import type { Input, Weight } from "./engine.ts";

/** FNV-1a of a name: its seed. */
function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) as number), 0x01000193) >>> 0;
  return hash;
}

/** A weight's values: matrices of unit gain, scales around 1, small biases. */
export function weightValues({ name, shape, values }: Weight): Float32Array {
  if (values) return values;
  const fanIn = sizeOf(shape.slice(1));
  const isScale = shape.length === 1 && name.endsWith("weight");
  const random = randomValues(sizeOf(shape), seedOf(name), "f32", shape.length === 1 ? 0.1 : Math.sqrt(3 / fanIn));
  return isScale ? random.map((value) => 1 + value) : random;
}

/** An input's values: in [-1, 1), whole numbers 0 to 255 for grey, below the bound for ids. */
export function inputValues(name: string, { shape, kind, below = 256 }: Input): Float32Array {
  const random = randomValues(sizeOf(shape), seedOf(name));
  return kind === "plain" || kind === "image" ? random : random.map((value) => Math.floor(((value + 1) / 2) * below));
}

/** [B, H, W, C] to [B, C, H, W]. */
export function toChannelsFirst(x: ArrayLike<number>, [batch, height, width, channels]: readonly number[]): Float32Array<ArrayBuffer> {
  return transposed(x, batch, height * width, channels);
}

/** [B, C, H, W] back to the [B, H, W, C] that `shape` gives. */
export function toChannelsLast(x: ArrayLike<number>, [batch, height, width, channels]: readonly number[]): Float32Array<ArrayBuffer> {
  return transposed(x, batch, channels, height * width);
}

/** A batch of matrices, rows and columns exchanged. */
export function transposed(x: ArrayLike<number>, batch: number, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const y = new Float32Array(x.length);
  for (let b = 0; b < batch; b++) {
    const base = b * rows * columns;
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) y[base + j * rows + i] = x[base + i * columns + j];
  }
  return y;
}

/** Largest difference, relative to the largest value of the reference; Infinity where sizes differ or a value is no number. */
export function relativeError(values: ArrayLike<number>, reference: ArrayLike<number>): number {
  if (values.length !== reference.length) return Infinity;
  let [most, scale] = [0, 0];
  for (let i = 0; i < reference.length; i++) {
    const difference = Math.abs(values[i] - reference[i]);
    if (!(difference <= Number.MAX_VALUE)) return Infinity;
    if (difference > most) most = difference;
    if (Math.abs(reference[i]) > scale) scale = Math.abs(reference[i]);
  }
  return most / scale;
}
