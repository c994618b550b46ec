import { softmax as softmaxWorkgroup, softmaxNaive, softmaxSubgroup } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, floatOf } from "./check.ts";
import { type DeviceFacts, type RowVariant, deviceFacts, planRows } from "./grid.ts";

const kernels = { subgroup: softmaxSubgroup, workgroup: softmaxWorkgroup, naive: softmaxNaive };

/** Kernel, grid and cost of a softmax of R rows of N columns. */
export function planSoftmax(rows: number, columns: number, device: DeviceFacts, variant?: RowVariant) {
  const plan = planRows(rows, columns, device, variant);
  return { kernel: kernels[plan.variant], grid: plan.grid, flops: 5 * rows * columns };
}

/**
 * Softmax over the last dimension. x [..., N] -> [..., N]. Masked entries must be finite (-3e38), never -inf.
 * The variant `subgroup` needs N to be a multiple of 4.
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
  return y;
}
