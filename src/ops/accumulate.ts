import { addInto as addIntoKernel } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, floatOf } from "./check.ts";
import { elementGrid } from "./grid.ts";

/** sum += x, in place, element by element. Same number of elements and dtype. */
export function addInto(sum: Tensor, x: Tensor): Tensor {
  check(sum.size === x.size && sum.dtype === x.dtype, "addInto", `[${x.shape}] ${x.dtype} does not add to [${sum.shape}] ${sum.dtype}`, sum);
  sum.gpu.run(addIntoKernel, {
    bindings: { x, sum },
    params: { count: sum.size },
    prelude: { T: floatOf("addInto", sum) },
    grid: elementGrid(sum.gpu, sum.size),
    flops: sum.size,
    bytes: bytesOf(x, sum, sum),
  });
  return sum;
}
