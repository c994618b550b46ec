import { fill as fillKernel } from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../tensor.ts";
import { type Float, bytesOf, floatOf } from "./check.ts";
import { elementGrid } from "./grid.ts";

/** A tensor filled with one value. */
export function full(gpu: Gpu, shape: readonly number[], value: number, dtype: Float = "f32"): Tensor {
  return fill(gpu.empty(shape, dtype), value);
}

/** A tensor of zeros. */
export function zeros(gpu: Gpu, shape: readonly number[], dtype: Float = "f32"): Tensor {
  return full(gpu, shape, 0, dtype);
}

/** Overwrites every element of `y` with `value`. */
export function fill(y: Tensor, value: number): Tensor {
  y.gpu.run(fillKernel, {
    bindings: { y },
    params: { count: y.size, value },
    prelude: { T: floatOf("fill", y) },
    grid: elementGrid(y.gpu, y.size),
    bytes: bytesOf(y),
  });
  return y;
}
