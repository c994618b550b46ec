import { softmaxNaive } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, floatOf } from "./check.ts";

/** Softmax over the last dimension. x [..., N] -> [..., N]. Masked entries must be finite (-3e38), never -inf. */
export function softmax(x: Tensor): Tensor {
  check(x.shape.length > 0, "softmax", "takes at least one dimension", x);
  const columns = x.shape[x.shape.length - 1];
  const rows = x.size / columns;
  const y = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(softmaxNaive, {
    bindings: { x, y },
    params: { rows, columns },
    prelude: { T: floatOf("softmax", x) },
    grid: Math.ceil(rows / 64),
    flops: 5 * x.size,
    bytes: bytesOf(x, y),
  });
  return y;
}
