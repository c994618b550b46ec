import { addInto as addIntoScalar, addIntoVec4, sum as sumKernel, sumRows as sumRowsKernel } from "../generated/kernels.ts";
import { refuseGradient } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, floatOf } from "./check.ts";
import { elementPlan } from "./grid.ts";

/** sum += x, in place, element by element. Same number of elements and dtype. Not differentiable. */
export function addInto(sum: Tensor, x: Tensor): Tensor {
  check(sum.size === x.size && sum.dtype === x.dtype, "addInto", `[${x.shape}] ${x.dtype} does not add to [${sum.shape}] ${sum.dtype}`, sum);
  refuseGradient("addInto", sum, x);
  const { vec4, count, grid } = elementPlan(sum);
  sum.gpu.run(vec4 ? addIntoVec4 : addIntoScalar, {
    bindings: { x, sum },
    params: { count },
    prelude: { T: floatOf("addInto", sum) },
    grid,
    flops: sum.size,
    bytes: bytesOf(x, sum, sum),
  });
  return sum;
}

/** Rows that one invocation adds, and how many such chunks there are: few rows at once, many in chunks of their square root. */
export function planSumRows(rows: number): { chunk: number; chunks: number } {
  const chunk = rows <= 64 ? rows : Math.ceil(Math.sqrt(rows));
  return { chunk, chunks: Math.ceil(rows / chunk) };
}

/**
 * Sums of columns over the rows, in f32 and in a fixed order: x [B, R, S], columns `first` to `first + columns` (default
 * all) -> f32 [B, columns]. Not differentiable.
 * @param range.first first column that is summed
 * @param range.columns how many from there on: one or more
 */
export function sumRows(x: Tensor, range: { first: number; columns: number } = { first: 0, columns: x.shape[2] }): Tensor {
  check(x.shape.length === 3, "sumRows", `takes [B, R, S], got [${x.shape}]`, x);
  const [batches, rows, stride] = x.shape;
  const { first, columns } = range;
  check(first >= 0 && columns > 0 && first + columns <= stride, "sumRows", `columns ${first} to ${first + columns} of [${x.shape}] do not exist`, x);
  refuseGradient("sumRows", x);
  const { chunk, chunks } = planSumRows(rows);
  return x.gpu.scope("sum_rows", () => {
    const y = x.gpu.empty([batches, chunks, columns]);
    x.gpu.run(sumRowsKernel, {
      bindings: { x, y },
      params: { count: y.size, rows, stride, chunk, chunks, columns, first },
      prelude: { T: floatOf("sumRows", x) },
      grid: Math.ceil(y.size / 64),
      flops: batches * rows * columns,
      bytes: (bytesOf(x) * columns) / stride + bytesOf(y),
    });
    return chunks === 1 ? y.reshape(batches, columns) : sumRows(y);
  });
}

/** factor times the sum of all elements, in a fixed order: x f32 -> f32 [1]. For partial sums. Not differentiable. */
export function sum(x: Tensor, factor = 1): Tensor {
  refuseGradient("sum", x);
  const y = x.gpu.empty([1]);
  x.gpu.run(sumKernel, {
    bindings: { x, y },
    params: { count: x.size, factor },
    prelude: {},
    grid: 1,
    flops: x.size,
    bytes: bytesOf(x),
  });
  return y;
}
