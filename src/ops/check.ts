import { ShapeError } from "../errors.ts";
import { type Tensor, dtypeBytes } from "../tensor.ts";

/** Element types that kernels compute with. */
export type Float = "f32" | "f16";

/** Throws a ShapeError that names the op, the fact and the present scope, unless `condition` holds. */
export function check(condition: boolean, op: string, fact: string, x: Tensor): asserts condition {
  if (!condition) throw new ShapeError(op, fact, x.gpu.scopeName);
}

/** The float dtype of a tensor; throws for integers. */
export function floatOf(op: string, x: Tensor): Float {
  check(x.dtype === "f32" || x.dtype === "f16", op, `takes f32 or f16, got ${x.dtype}`, x);
  return x.dtype;
}

/** Throws unless `x` has exactly this shape. `what` is the name of the argument. */
export function checkShape(op: string, what: string, x: Tensor, shape: readonly number[]): void {
  check(x.shape.length === shape.length && shape.every((side, i) => side === x.shape[i]), op, `${what} is [${x.shape}], needs [${shape}]`, x);
}

/** Bytes of several tensors together, `undefined` ones left out: what a dispatch moves at least. */
export function bytesOf(...tensors: (Tensor | undefined)[]): number {
  return tensors.reduce((sum, x) => sum + (x ? x.size * dtypeBytes(x.dtype) : 0), 0);
}
