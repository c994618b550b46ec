import { matmulNaive, matmulSubgroup, matmulTiled, matmulVector } from "../generated/kernels.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { type Tensor, sizeOf } from "../tensor.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { deviceFacts } from "./grid.ts";
import { type ProductPlan, type ProductVariant, type Tile, productTile, productVariant, workgroupsOf } from "./tiles.ts";

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
  variant?: ProductVariant;
}

/**
 * Matrix product c = scale * a b. a [..., M, K], b [..., K, N] (or [..., N, K]) with the same leading dimensions or
 * none -> c [..., M, N] in a's dtype. Sums are f32. Throws ShapeError.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeB = false, scale = 1, variant } = options;
  check(a.shape.length >= 2 && b.shape.length >= 2, "matmul", `takes matrices, got [${a.shape}] and [${b.shape}]`, a);
  const [M, K] = a.shape.slice(-2);
  const [rows, columns] = b.shape.slice(-2);
  const N = transposeB ? rows : columns;
  check((transposeB ? columns : rows) === K, "matmul", `K differs: a is [${a.shape}], b is [${b.shape}]${transposeB ? " transposed" : ""}`, a);
  const leading = a.shape.slice(0, -2);
  const shared = b.shape.length === 2;
  if (!shared) checkShape("matmul", "b", b, [...leading, rows, columns]);
  const batches = sizeOf(leading);
  // With a shared b the batch is but more rows.
  const shape = shared ? { batches: 1, M: batches * M, N, K, itemRows: M } : { batches, M, N, K, itemRows: M };
  const c = a.gpu.empty([...leading, M, N], a.dtype);
  runMatmul("matmul", { a, b, c }, { shape, transposeB, scale, variant });
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
  variant?: ProductVariant;
}

/** Linear layer: activation(x W + bias) + residual. x [..., K] -> [..., N]. Throws ShapeError. */
export function linear(x: Tensor, options: LinearOptions): Tensor {
  const { weight, bias, activation, residual, variant } = options;
  const K = x.shape[x.shape.length - 1];
  check(weight.shape.length === 2 && weight.shape[0] === K, "linear", `weight is [${weight.shape}], needs [${K}, N] for x [${x.shape}]`, x);
  const N = weight.shape[1];
  const shape = [...x.shape.slice(0, -1), N];
  if (bias) checkShape("linear", "bias", bias, [N]);
  if (residual) checkShape("linear", "residual", residual, shape);
  const y = x.gpu.empty(shape, x.dtype);
  const M = x.size / K;
  runMatmul("linear", { a: x, b: weight, bias, residual, c: y }, { shape: { batches: 1, M, N, K, itemRows: itemRows(x) }, activation, variant });
  return y;
}

/** Rows of one item of the batch [B, ..., C]; a matrix is one item. */
function itemRows(x: Tensor): number {
  return sizeOf(x.shape.slice(x.shape.length > 2 ? 1 : 0, -1));
}

/** Sizes of a batched product; `itemRows` of the rows belong to one item of the batch. */
export interface ProductShape {
  batches: number;
  M: number;
  N: number;
  K: number;
  itemRows: number;
}

type MatmulBinding = "a" | "b" | "b4" | "bias" | "residual" | "c";
type MatmulParams = Omit<ProductShape, "itemRows"> & { b_stride: number; scale: number };
type MatmulFlag = "TRANSPOSE_B" | "GATED" | "HAS_BIAS" | "HAS_RESIDUAL" | "ACTIVATION" | "QUADS" | "WORKGROUP";
type MatmulKernel = Kernel<MatmulBinding, MatmulParams, MatmulFlag | keyof Tile["overrides"], { T: Float; W: Float }>;

const fastKernels: Record<Exclude<ProductVariant, "naive">, MatmulKernel> = {
  subgroup: matmulSubgroup,
  vector: matmulVector,
  tiled: matmulTiled,
};

/**
 * Kernel, overrides and grid of a batched product. The tile follows the shape of one item, so that an item's result
 * does not depend on the batch that it is in.
 */
export function planMatmul(shape: ProductShape, transposeB: boolean, variant: ProductVariant): ProductPlan<MatmulKernel> {
  const { batches, M, N, itemRows } = shape;
  if (variant === "naive") return { kernel: matmulNaive, overrides: {}, quads: false, grid: Math.ceil((batches * M * N) / 64) };
  const quads = !transposeB && N % 4 === 0;
  const tile = productTile(variant, itemRows, N);
  return { kernel: fastKernels[variant], overrides: { ...tile.overrides, QUADS: quads }, quads, grid: batches * workgroupsOf(tile, M, N) };
}

interface MatmulTensors {
  a: Tensor;
  b: Tensor;
  bias?: Tensor;
  residual?: Tensor;
  c: Tensor;
}

interface MatmulRun {
  shape: ProductShape;
  transposeB?: boolean;
  gated?: boolean;
  scale?: number;
  activation?: Activation;
  variant?: ProductVariant;
}

function runMatmul(op: string, { a, b, bias, residual, c }: MatmulTensors, run: MatmulRun): void {
  const { shape, transposeB = false, gated = false, scale = 1, activation } = run;
  const { batches, M, N, K } = shape;
  const { kernel, overrides, quads, grid } = planMatmul(shape, transposeB, run.variant ?? productVariant(deviceFacts(a.gpu), N));
  a.gpu.run(kernel, {
    bindings: { a, b: quads ? undefined : b, b4: quads ? b : undefined, bias, residual, c },
    params: { batches, M, N, K, b_stride: batches > 1 ? K * N : 0, scale },
    overrides: {
      ...overrides,
      TRANSPOSE_B: transposeB,
      GATED: gated,
      HAS_BIAS: bias !== undefined,
      HAS_RESIDUAL: residual !== undefined,
      ACTIVATION: activationCode(activation),
    },
    prelude: { T: floatOf(op, a), W: floatOf(op, b) },
    grid,
    flops: (gated ? 4 : 2) * batches * M * N * K,
    bytes: bytesOf(a, b, bias, residual, c),
  });
}

/** Arguments of `geglu`. */
export interface GegluOptions {
  /** [K, 2N]: the columns of the value, then those of the gate. */
  weight: Tensor;
  /** [2N] */
  bias?: Tensor;
  variant?: ProductVariant;
}

/** diffusers' GEGLU: (x W_a + b_a) * gelu(x W_g + b_g), the 2N columns never stored. x [..., K] -> [..., N]. Throws ShapeError. */
export function geglu(x: Tensor, options: GegluOptions): Tensor {
  const { weight, bias, variant } = options;
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
  const shape = { batches: 1, M: x.size / K, N, K, itemRows: itemRows(x) };
  runMatmul("geglu", { a: x, b: weight, bias, c: y }, { shape, gated: true, variant });
  return y;
}
