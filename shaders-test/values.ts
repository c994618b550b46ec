import { narrowFloat16, widenFloat16 } from "../src/float16.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import type { Tensor } from "../src/tensor.ts";

/** Deterministic values in [-scale, scale), rounded to the dtype so that host and device hold the same numbers. */
export function randomValues(count: number, seed: number, dtype: Float = "f32", scale = 1): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    values[i] = (mixed / 2 ** 31 - 1) * scale;
  }
  return dtype === "f16" ? widenFloat16(narrowFloat16(values)) : values;
}

/** Uploads host values (already rounded to the dtype) as a tensor. */
export function upload(gpu: Gpu, values: Float32Array, shape: readonly number[], dtype: Float = "f32"): Tensor {
  return gpu.tensor(dtype === "f16" ? narrowFloat16(values) : values, shape);
}

/** The dtypes to test on this device: f16 only where it has shader-f16. */
export function testDtypes(gpu: Gpu): Float[] {
  return gpu.has("shader-f16") ? ["f32", "f16"] : ["f32"];
}
