import { gegluNaive, linearNaive, matmulNaive } from "../generated/kernels.ts";
import { type Tensor, sizeOf } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";

/** Activations that a linear layer or a convolution can end with. */
export type Activation = "gelu" | "gelu_tanh" | "quick_gelu" | "silu";

/** The numbers of the activations in kernels/lib/activations.wgsl. */
const activationCodes = { none: 0, gelu: 1, gelu_tanh: 2, quick_gelu: 3, silu: 4 } as const;

/** The override ACTIVATION of a kernel. */
export function activationCode(activation: Activation | undefined): number {
  return activationCodes[activation ?? "none"];
}

/** Options of `matmul`. */
export interface MatmulOptions {
  /** Whether b is [..., N, K]. */
  transposeB?: boolean;
  /** Factor of the result. Default 1. */
  scale?: number;
}

/**
 * Matrix product c = scale * a b. a [..., M, K], b [..., K, N] (or [..., N, K]) with the same leading dimensions or
 * none -> c [..., M, N] in a's dtype. Sums are f32. Throws ShapeError.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeB = false, scale = 1 } = options;
  check(a.shape.length >= 2 && b.shape.length >= 2, "matmul", `takes matrices, got [${a.shape}] and [${b.shape}]`, a);
  const [M, K] = a.shape.slice(-2);
  const [rows, columns] = b.shape.slice(-2);
  const N = transposeB ? rows : columns;
  check((transposeB ? columns : rows) === K, "matmul", `K differs: a is [${a.shape}], b is [${b.shape}]${transposeB ? " transposed" : ""}`, a);
  const leading = a.shape.slice(0, -2);
  if (b.shape.length > 2) checkShape("matmul", "b", b, [...leading, rows, columns]);
  const batches = sizeOf(leading);
  const c = a.gpu.empty([...leading, M, N], a.dtype);
  a.gpu.run(matmulNaive, {
    bindings: { a, b, c },
    params: { batches, M, N, K, b_stride: b.shape.length > 2 ? K * N : 0, scale },
    overrides: { TRANSPOSE_B: transposeB },
    prelude: { T: floatOf("matmul", a), W: floatOf("matmul", b) },
    grid: Math.ceil(c.size / 64),
    flops: 2 * c.size * K,
    bytes: bytesOf(a, b, c),
  });
  return c;
}

/** Arguments of `linear`. */
export interface LinearOptions {
  /** [K, N] */
  weight: Tensor;
  /** [N] */
  bias?: Tensor;
  activation?: Activation;
  /** [..., N], added last. */
  residual?: Tensor;
}

/** Linear layer: activation(x W + bias) + residual. x [..., K] -> [..., N]. Throws ShapeError. */
export function linear(x: Tensor, options: LinearOptions): Tensor {
  const { weight, bias, activation, residual } = options;
  const K = x.shape[x.shape.length - 1];
  check(weight.shape.length === 2 && weight.shape[0] === K, "linear", `weight is [${weight.shape}], needs [${K}, N] for x [${x.shape}]`, x);
  const N = weight.shape[1];
  const shape = [...x.shape.slice(0, -1), N];
  if (bias) checkShape("linear", "bias", bias, [N]);
  if (residual) checkShape("linear", "residual", residual, shape);
  const y = x.gpu.empty(shape, x.dtype);
  x.gpu.run(linearNaive, {
    bindings: { x, weight, bias, residual, y },
    params: { M: x.size / K, N, K },
    overrides: { HAS_BIAS: bias !== undefined, HAS_RESIDUAL: residual !== undefined, ACTIVATION: activationCode(activation) },
    prelude: { T: floatOf("linear", x), W: floatOf("linear", weight) },
    grid: Math.ceil(y.size / 64),
    flops: 2 * y.size * K,
    bytes: bytesOf(x, weight, bias, residual, y),
  });
  return y;
}

/** Arguments of `geglu`. */
export interface GegluOptions {
  /** [K, 2N]: the columns of the value, then those of the gate. */
  weight: Tensor;
  /** [2N] */
  bias?: Tensor;
}

/** diffusers' GEGLU: (x W_a + b_a) * gelu(x W_g + b_g), the 2N columns never stored. x [..., K] -> [..., N]. Throws ShapeError. */
export function geglu(x: Tensor, options: GegluOptions): Tensor {
  const { weight, bias } = options;
  const K = x.shape[x.shape.length - 1];
  check(
    weight.shape.length === 2 && weight.shape[0] === K && weight.shape[1] % 2 === 0,
    "geglu",
    `weight is [${weight.shape}], needs [${K}, 2N] for x [${x.shape}]`,
    x,
  );
  const N = weight.shape[1] / 2;
  if (bias) checkShape("geglu", "bias", bias, [2 * N]);
  const y = x.gpu.empty([...x.shape.slice(0, -1), N], x.dtype);
  x.gpu.run(gegluNaive, {
    bindings: { x, weight, bias, y },
    params: { M: x.size / K, N, K },
    overrides: { HAS_BIAS: bias !== undefined },
    prelude: { T: floatOf("geglu", x), W: floatOf("geglu", weight) },
    grid: Math.ceil(y.size / 64),
    flops: 4 * y.size * K,
    bytes: bytesOf(x, weight, bias, y),
  });
  return y;
}
