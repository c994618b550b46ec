import { binary, copyColumns, transpose, unary } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";

/** a + b, element by element. Same shapes and dtypes. */
export function add(a: Tensor, b: Tensor): Tensor {
  return runBinary("add", a, b, false);
}

/** a * b, element by element. Same shapes and dtypes. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return runBinary("multiply", a, b, true);
}

function runBinary(op: string, a: Tensor, b: Tensor, product: boolean): Tensor {
  checkShape(op, "b", b, a.shape);
  const y = a.gpu.empty(a.shape, a.dtype);
  a.gpu.run(binary, {
    bindings: { a, b, y },
    params: { count: a.size },
    overrides: { MULTIPLY: product },
    prelude: { T: floatOf(op, a) },
    grid: Math.ceil(a.size / 64),
    flops: a.size,
    bytes: bytesOf(a, b, y),
  });
  return y;
}

/** factor * x. */
export function scale(x: Tensor, factor: number): Tensor {
  return runUnary("scale", x, floatOf("scale", x), factor, false);
}

/** x * sigmoid(x). */
export function silu(x: Tensor): Tensor {
  return runUnary("silu", x, floatOf("silu", x), 1, true);
}

/** x as another float type, rounded to nearest; a view of x where it has that type. */
export function cast(x: Tensor, dtype: Float): Tensor {
  return x.dtype === dtype ? x.reshape(...x.shape) : runUnary("cast", x, dtype, 1, false);
}

function runUnary(op: string, x: Tensor, dtype: Float, factor: number, isSilu: boolean): Tensor {
  const y = x.gpu.empty(x.shape, dtype);
  x.gpu.run(unary, {
    bindings: { x, y },
    params: { count: x.size, factor },
    overrides: { SILU: isSilu },
    prelude: { T: floatOf(op, x), W: dtype },
    grid: Math.ceil(x.size / 64),
    flops: x.size,
    bytes: bytesOf(x, y),
  });
  return y;
}

/** [B, C, H, W] (PyTorch's layout of images) -> [B, H, W, C]. */
export function toChannelsLast(x: Tensor): Tensor {
  check(x.shape.length === 4, "toChannelsLast", `takes [B, C, H, W], got [${x.shape}]`, x);
  const [batches, channels, height, width] = x.shape;
  return runTranspose("toChannelsLast", x, channels, height * width, [batches, height, width, channels]);
}

/** [B, H, W, C] -> [B, C, H, W] (PyTorch's layout of images). */
export function toChannelsFirst(x: Tensor): Tensor {
  check(x.shape.length === 4, "toChannelsFirst", `takes [B, H, W, C], got [${x.shape}]`, x);
  const [batches, height, width, channels] = x.shape;
  return runTranspose("toChannelsFirst", x, height * width, channels, [batches, channels, height, width]);
}

function runTranspose(op: string, x: Tensor, rows: number, columns: number, shape: number[]): Tensor {
  const y = x.gpu.empty(shape, x.dtype);
  x.gpu.run(transpose, {
    bindings: { x, y },
    params: { count: x.size, rows, columns },
    prelude: { T: floatOf(op, x) },
    grid: Math.ceil(x.size / 64),
    bytes: bytesOf(x, y),
  });
  return y;
}

/** Concatenation along the last dimension: [..., C1] and [..., C2] -> [..., C1 + C2]. */
export function concatLast(a: Tensor, b: Tensor): Tensor {
  const c1 = a.shape[a.shape.length - 1];
  const c2 = b.shape[b.shape.length - 1];
  const outer = a.shape.slice(0, -1);
  checkShape("concatLast", "b", b, [...outer, c2]);
  const y = a.gpu.empty([...outer, c1 + c2], a.dtype);
  const rows = y.size / (c1 + c2);
  runCopy("concatLast", a, y, { rows, columns: c1, x_stride: c1, y_stride: c1 + c2, from_column: 0, to_column: 0 });
  runCopy("concatLast", b, y, { rows, columns: c2, x_stride: c2, y_stride: c1 + c2, from_column: 0, to_column: c1 });
  return y;
}

/** Columns `start` to `end` of the last dimension: [..., C] -> [..., end - start]. */
export function sliceLast(x: Tensor, start: number, end: number): Tensor {
  const channels = x.shape[x.shape.length - 1];
  check(start >= 0 && start < end && end <= channels, "sliceLast", `columns ${start} to ${end} of [${x.shape}] do not exist`, x);
  const y = x.gpu.empty([...x.shape.slice(0, -1), end - start], x.dtype);
  const rows = x.size / channels;
  runCopy("sliceLast", x, y, { rows, columns: end - start, x_stride: channels, y_stride: end - start, from_column: start, to_column: 0 });
  return y;
}

/** Overwrites the elements of `destination` from `elementOffset` on (counted in its flat order) with all of `source`. */
export function copyInto(destination: Tensor, source: Tensor, elementOffset: number): void {
  const end = elementOffset + source.size;
  check(elementOffset >= 0 && end <= destination.size, "copyInto", `elements ${elementOffset} to ${end} exceed [${destination.shape}]`, destination);
  runCopy("copyInto", source, destination, {
    rows: 1,
    columns: source.size,
    x_stride: source.size,
    y_stride: destination.size,
    from_column: 0,
    to_column: elementOffset,
  });
}

interface CopyParams {
  rows: number;
  columns: number;
  x_stride: number;
  y_stride: number;
  from_column: number;
  to_column: number;
}

function runCopy(op: string, x: Tensor, y: Tensor, params: CopyParams): void {
  const count = params.rows * params.columns;
  x.gpu.run(copyColumns, {
    bindings: { x, y },
    params,
    prelude: { T: floatOf(op, x) },
    grid: Math.ceil(count / 64),
    bytes: (2 * count * bytesOf(x)) / x.size,
  });
}
