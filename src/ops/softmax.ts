import { softmax as softmaxWorkgroup, softmaxBackward as softmaxBackwardWorkgroup, softmaxBackwardNaive, softmaxBackwardSubgroup, softmaxNaive, softmaxSubgroup } from "../generated/kernels.ts";
import { differentiable } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";
import { type DeviceFacts, type RowVariant, deviceFacts, planRows } from "./grid.ts";

const kernels = { subgroup: softmaxSubgroup, workgroup: softmaxWorkgroup, naive: softmaxNaive };

/** Kernel, grid and cost of a softmax of R rows of N columns. */
export function planSoftmax(rows: number, columns: number, device: DeviceFacts, variant?: RowVariant) {
  const { variant: chosen, ...plan } = planRows("softmax", rows, columns, device, variant);
  return { ...plan, kernel: kernels[chosen], flops: 5 * rows * columns };
}

/**
 * Softmax over the last dimension. x [..., N] -> [..., N]. Masked entries must be finite (-3e38), never -inf.
 * The variant `subgroup` needs N to be a multiple of 4.
 * @param options.variant instead of the plan's choice
 */
export function softmax(x: Tensor, options: { variant?: RowVariant } = {}): Tensor {
  check(x.shape.length > 0, "softmax", "takes at least one dimension", x);
  const columns = x.shape[x.shape.length - 1];
  check(options.variant !== "subgroup" || columns % 4 === 0, "softmax", `N=${columns} is not a multiple of 4, which the subgroup variant needs`, x);
  const rows = x.size / columns;
  const { kernel, ...plan } = planSoftmax(rows, columns, deviceFacts(x.gpu), options.variant);
  const y = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(kernel, {
    ...plan,
    bindings: { x, y },
    params: { rows, columns },
    prelude: { T: floatOf("softmax", x) },
    bytes: bytesOf(x, y),
  });
  return differentiable(y, {
    inputs: { x },
    saved: { y },
    backward: (dy, saved) => ({ x: softmaxBackward(dy, saved.y, options) }),
  });
}

const backwardKernels = { subgroup: softmaxBackwardSubgroup, workgroup: softmaxBackwardWorkgroup, naive: softmaxBackwardNaive };

/** Kernel, grid and cost of the gradient of a softmax of R rows of N columns. */
export function planSoftmaxBackward(rows: number, columns: number, device: DeviceFacts, variant?: RowVariant) {
  const { variant: chosen, ...plan } = planRows("softmaxBackward", rows, columns, device, variant);
  return { ...plan, kernel: backwardKernels[chosen], flops: 4 * rows * columns };
}

/**
 * Gradient of `softmax`, from its result y and dy, both [..., N], to [..., N].
 * @param options.variant instead of the plan's choice
 */
export function softmaxBackward(dy: Tensor, y: Tensor, options: { variant?: RowVariant } = {}): Tensor {
  checkShape("softmaxBackward", "dy", dy, y.shape);
  const columns = y.shape[y.shape.length - 1];
  const rows = y.size / columns;
  const { kernel, ...plan } = planSoftmaxBackward(rows, columns, deviceFacts(y.gpu), options.variant);
  const dx = y.gpu.empty(y.shape, y.dtype);
  y.gpu.run(kernel, {
    ...plan,
    bindings: { y, dy, dx },
    params: { rows, columns },
    prelude: { T: floatOf("softmaxBackward", y) },
    bytes: bytesOf(y, dy, dx),
  });
  return dx;
}
