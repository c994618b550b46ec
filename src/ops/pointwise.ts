import { binary, binaryVec4, copyColumns, siluBackward as siluBackwardScalar, siluBackwardVec4, transpose, unary, unaryVec4 } from "../generated/kernels.ts";
import { differentiable, refuseGradient } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { zeros } from "./fill.ts";
import { elementGrid, elementPlan } from "./grid.ts";

/** a + b, element by element. Same shapes and dtypes. */
export function add(a: Tensor, b: Tensor): Tensor {
  return differentiable(runBinary("add", a, b, false), {
    inputs: { a, b },
    saved: {},
    backward: (dy) => ({ a: dy.reshape(...dy.shape), b: dy.reshape(...dy.shape) }),
  });
}

/** a * b, element by element. Same shapes and dtypes. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return differentiable(runBinary("multiply", a, b, true), {
    inputs: { a, b },
    saved: { a, b },
    backward: (dy, saved, wants) => ({
      a: wants.a ? multiply(dy, saved.b) : undefined,
      b: wants.b ? multiply(dy, saved.a) : undefined,
    }),
  });
}

function runBinary(op: string, a: Tensor, b: Tensor, product: boolean): Tensor {
  checkShape(op, "b", b, a.shape);
  const y = a.gpu.empty(a.shape, a.dtype);
  const { vec4, count, grid } = elementPlan(a);
  a.gpu.run(vec4 ? binaryVec4 : binary, {
    bindings: { a, b, y },
    params: { count },
    overrides: { MULTIPLY: product },
    prelude: { T: floatOf(op, a) },
    grid,
    flops: a.size,
    bytes: bytesOf(a, b, y),
  });
  return y;
}

/** factor * x. */
export function scale(x: Tensor, factor: number): Tensor {
  return differentiable(runUnary("scale", x, floatOf("scale", x), factor, false), {
    inputs: { x },
    saved: {},
    backward: (dy) => ({ x: scale(dy, factor) }),
  });
}

/** x * sigmoid(x). */
export function silu(x: Tensor): Tensor {
  return differentiable(runUnary("silu", x, floatOf("silu", x), 1, true), {
    inputs: { x },
    saved: { x },
    backward: (dy, saved) => ({ x: siluBackward(dy, saved.x) }),
  });
}

/** Gradient of `silu` at x: dy * s * (1 + x (1 - s)) with s = sigmoid(x). dy and the result have x's shape and dtype. */
export function siluBackward(dy: Tensor, x: Tensor): Tensor {
  checkShape("siluBackward", "dy", dy, x.shape);
  const dx = x.gpu.empty(x.shape, x.dtype);
  const { vec4, count, grid } = elementPlan(x);
  x.gpu.run(vec4 ? siluBackwardVec4 : siluBackwardScalar, {
    bindings: { x, dy, dx },
    params: { count },
    prelude: { T: floatOf("siluBackward", x) },
    grid,
    flops: 8 * x.size,
    bytes: bytesOf(x, dy, dx),
  });
  return dx;
}

/** x as another float type, rounded to nearest; a view of x where it has that type. */
export function cast(x: Tensor, dtype: Float): Tensor {
  if (x.dtype === dtype) return x.reshape(...x.shape);
  const from = floatOf("cast", x);
  return differentiable(runUnary("cast", x, dtype, 1, false), {
    inputs: { x },
    saved: {},
    backward: (dy) => ({ x: cast(dy, from) }),
  });
}

function runUnary(op: string, x: Tensor, dtype: Float, factor: number, isSilu: boolean): Tensor {
  const y = x.gpu.empty(x.shape, dtype);
  const { vec4, count, grid } = elementPlan(x);
  x.gpu.run(vec4 ? unaryVec4 : unary, {
    bindings: { x, y },
    params: { count, factor },
    overrides: { SILU: isSilu },
    prelude: { T: floatOf(op, x), W: dtype },
    grid,
    flops: x.size,
    bytes: bytesOf(x, y),
  });
  return y;
}

/** [B, C, H, W] (PyTorch's layout of images) -> [B, H, W, C]. */
export function toChannelsLast(x: Tensor): Tensor {
  check(x.shape.length === 4, "toChannelsLast", `takes [B, C, H, W], got [${x.shape}]`, x);
  const [batches, channels, height, width] = x.shape;
  return differentiable(runTranspose("toChannelsLast", x, channels, height * width, [batches, height, width, channels]), {
    inputs: { x },
    saved: {},
    backward: (dy) => ({ x: toChannelsFirst(dy) }),
  });
}

/** [B, H, W, C] -> [B, C, H, W] (PyTorch's layout of images). */
export function toChannelsFirst(x: Tensor): Tensor {
  check(x.shape.length === 4, "toChannelsFirst", `takes [B, H, W, C], got [${x.shape}]`, x);
  const [batches, height, width, channels] = x.shape;
  return differentiable(runTranspose("toChannelsFirst", x, height * width, channels, [batches, channels, height, width]), {
    inputs: { x },
    saved: {},
    backward: (dy) => ({ x: toChannelsLast(dy) }),
  });
}

function runTranspose(op: string, x: Tensor, rows: number, columns: number, shape: number[]): Tensor {
  const y = x.gpu.empty(shape, x.dtype);
  x.gpu.run(transpose, {
    bindings: { x, y },
    params: { count: x.size, rows, columns },
    prelude: { T: floatOf(op, x) },
    grid: elementGrid(x.gpu, x.size),
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
  runCopy("concatLast", { from: a, stride: c1 }, { into: y, stride: c1 + c2, column: 0 }, c1);
  runCopy("concatLast", { from: b, stride: c2 }, { into: y, stride: c1 + c2, column: c1 }, c2);
  return differentiable(y, {
    inputs: { a, b },
    saved: {},
    backward: (dy, _, wants) => ({
      a: wants.a ? sliceLast(dy, 0, c1) : undefined,
      b: wants.b ? sliceLast(dy, c1, c1 + c2) : undefined,
    }),
  });
}

/** Columns `start` to `end` of the last dimension: [..., C] -> [..., end - start]. */
export function sliceLast(x: Tensor, start: number, end: number): Tensor {
  const channels = x.shape[x.shape.length - 1];
  check(start >= 0 && start < end && end <= channels, "sliceLast", `columns ${start} to ${end} of [${x.shape}] do not exist`, x);
  const y = x.gpu.empty([...x.shape.slice(0, -1), end - start], x.dtype);
  runCopy("sliceLast", { from: x, stride: channels, column: start }, { into: y, stride: end - start }, end - start);
  return differentiable(y, {
    inputs: { x },
    saved: {},
    backward: (dy) => ({ x: padLast(dy, start, channels) }),
  });
}

/** [..., C] in the columns from `start` on of zeros [..., channels]. */
function padLast(x: Tensor, start: number, channels: number): Tensor {
  const columns = x.shape[x.shape.length - 1];
  const y = zeros(x.gpu, [...x.shape.slice(0, -1), channels], floatOf("padLast", x));
  runCopy("padLast", { from: x, stride: columns }, { into: y, stride: channels, column: start }, columns);
  return y;
}

/**
 * Overwrites the elements of `destination` from `elementOffset` on (counted in its flat order) with all of `source`.
 * Not differentiable.
 */
export function copyInto(destination: Tensor, source: Tensor, elementOffset: number): void {
  const end = elementOffset + source.size;
  check(elementOffset >= 0 && end <= destination.size, "copyInto", `elements ${elementOffset} to ${end} exceed [${destination.shape}]`, destination);
  refuseGradient("copyInto", destination, source);
  runCopy("copyInto", { from: source, stride: source.size }, { into: destination, stride: destination.size, column: elementOffset }, source.size);
}

/** Copies the first `columns` columns from `column` on (default 0) of every row of `stride` elements. */
function runCopy(
  op: string,
  source: { from: Tensor; stride: number; column?: number },
  target: { into: Tensor; stride: number; column?: number },
  columns: number,
): void {
  const { from: x } = source;
  const count = (x.size / source.stride) * columns;
  x.gpu.run(copyColumns, {
    bindings: { x, y: target.into },
    params: {
      count,
      columns,
      x_stride: source.stride,
      y_stride: target.stride,
      from_column: source.column ?? 0,
      to_column: target.column ?? 0,
    },
    prelude: { T: floatOf(op, x) },
    grid: elementGrid(x.gpu, count),
    bytes: (2 * count * bytesOf(x)) / x.size,
  });
}
