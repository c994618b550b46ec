import { matmulNaive, matmulSubgroup, matmulTiled, matmulVector } from "../generated/kernels.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { type GradientsOf, type Wants, differentiable, wantsGradient } from "../tape.ts";
import { type Tensor, dtypeBytes, sizeOf } from "../tensor.ts";
import { sumRows } from "./accumulate.ts";
import { type Activation, activate, activationCode, geluGate, leavesActivation } from "./activation.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { type DeviceFacts, deviceFacts } from "./grid.ts";
import { cast } from "./pointwise.ts";
import { alignedRows, elementRange, partsOf } from "./ranges.ts";
import { type ProductPlan, type ProductVariant, type Tile, productTile, productVariants, workgroupsOf } from "./tiles.ts";
import { turnWeight } from "./turn_weight.ts";
import { chooseVariant, classSide } from "./variants.ts";
import { transposedProduct, weightGradient } from "./weight_gradient.ts";

/** Options of `matmul`. */
export interface MatmulOptions {
  /** Whether b is [..., N, K]. */
  transposeB?: boolean;
  /** Factor of the result. Default 1. */
  scale?: number;
  /** Chosen from shape and device where absent. */
  variant?: ProductVariant;
}

/**
 * Matrix product c = scale * a b. a [..., M, K], b [..., K, N] (or [..., N, K]) with the same leading dimensions or
 * none -> c [..., M, N] in a's dtype. Sums are f32. Gradients have the dtypes of a and b. Throws ShapeError.
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
  return differentiable(c, {
    inputs: { a, b },
    saved: { a: wantsGradient(b) ? a : undefined, b: wantsGradient(a) ? b : undefined },
    backward: (dc, saved, wants) => ({
      a: wants.a && saved.b ? matmul(dc, saved.b, { transposeB: !transposeB, scale, variant }) : undefined,
      b: wants.b && saved.a ? matmulSecondGradient(dc, saved.a, b, { transposeB, scale, variant }) : undefined,
    }),
  });
}

/** Gradient of `matmul` at b, in its shape and dtype: the transpose of a or dc times the other. */
function matmulSecondGradient(dc: Tensor, a: Tensor, { shape, dtype }: Pick<Tensor, "shape" | "dtype">, { transposeB, scale, variant }: MatmulOptions): Tensor {
  const [left, right] = transposeB ? [dc, a] : [a, dc];
  const [rows, columns] = shape.slice(-2);
  const items = sizeOf(shape.slice(0, -2));
  const product = weightGradient(left, right, transposedProduct(items, left.size / rows / items, rows, columns), { scale, variant });
  return cast(product, dtype as Float).reshape(...shape);
}

/** Arguments of `linear`. */
export interface LinearOptions {
  /** [K, N] */
  weight: Tensor;
  /** [N] */
  bias?: Tensor;
  /** Before the residual. Default: none. */
  activation?: Activation;
  /** [..., N], added last. */
  residual?: Tensor;
  /** Chosen from shape and device where absent. */
  variant?: ProductVariant;
}

/** Linear layer: activation(x W + bias) + residual. x [..., K] -> [..., N]. Throws ShapeError. */
export function linear(x: Tensor, options: LinearOptions): Tensor {
  const { weight, bias, activation, residual, variant } = options;
  if (activation && leavesActivation(x, weight, bias)) {
    const sums = linear(x, { weight, bias, variant });
    const y = activate(sums, activation, residual);
    sums.free();
    return y;
  }
  const K = x.shape[x.shape.length - 1];
  check(weight.shape.length === 2 && weight.shape[0] === K, "linear", `weight is [${weight.shape}], needs [${K}, N] for x [${x.shape}]`, x);
  const N = weight.shape[1];
  const shape = [...x.shape.slice(0, -1), N];
  if (bias) checkShape("linear", "bias", bias, [N]);
  if (residual) checkShape("linear", "residual", residual, shape);
  const y = x.gpu.empty(shape, x.dtype);
  const M = x.size / K;
  runMatmul("linear", { a: x, b: weight, bias, residual, c: y }, { shape: { batches: 1, M, N, K, itemRows: itemRows(x) }, activation, variant });
  return differentiable(y, {
    inputs: { x, weight, bias, residual },
    saved: { x: wantsGradient(weight) ? x : undefined, weight: wantsGradient(x) ? weight : undefined },
    backward: (dy, saved, wants) => linearBackward(dy, saved, wants, { variant }),
  });
}

/** What the backward pass of `linear` reads. */
export interface LinearSaved {
  /** [..., K], where the weight wants a gradient. */
  x?: Tensor;
  /** [K, N], where x wants a gradient. */
  weight?: Tensor;
}

type LinearInputs = { x: Tensor; weight: Tensor; bias: Tensor | undefined; residual: Tensor | undefined };

/**
 * Gradients of `linear` without activation: x's and the residual's in dy's dtype, weight's and bias's f32. dy [..., N].
 * @param options.variant of both products; chosen from shape and device where absent
 */
export function linearBackward(dy: Tensor, saved: LinearSaved, wants: Wants<LinearInputs>, options: { variant?: ProductVariant } = {}): GradientsOf<LinearInputs> {
  const { x, weight } = saved;
  const { variant } = options;
  const N = dy.shape[dy.shape.length - 1];
  const rows = dy.size / N;
  return {
    x: wants.x && weight ? linearInputGradient(dy, weight, variant) : undefined,
    weight: wants.weight && x ? weightGradient(x, dy, transposedProduct(1, rows, x.size / rows, N), { variant }).reshape(x.size / rows, N) : undefined,
    bias: wants.bias ? sumRows(dy.reshape(1, rows, N)).reshape(N) : undefined,
    residual: wants.residual ? dy.reshape(...dy.shape) : undefined,
  };
}

/** Rows from which a product repays the transposition of its weight. */
const rowsThatRepay = 128;

/** dy [..., N] times the transpose of the weight [K, N]: made first where many rows read it, since columns read slowly. */
function linearInputGradient(dy: Tensor, weight: Tensor, variant?: ProductVariant): Tensor {
  const [K, N] = weight.shape;
  return dy.gpu.scope("linear_input", () => {
    const shape = [...dy.shape.slice(0, -1), K];
    const rows = dy.size / N;
    if (rows < rowsThatRepay) return matmul(dy.reshape(rows, N), weight, { transposeB: true, variant }).reshape(...shape);
    return linear(dy, { weight: turnWeight(weight.reshape(1, 1, K, N)).reshape(N, K), variant });
  });
}

/** Rows of one item of the batch [B, ..., C]; a matrix is one item. */
function itemRows(x: Tensor): number {
  return sizeOf(x.shape.slice(x.shape.length > 2 ? 1 : 0, -1));
}

/** Sizes of a batched product; `itemRows` of the rows belong to one item of the batch. */
export interface ProductShape {
  /** Products; 1 where a batch shares b, since it is but more rows then. */
  batches: number;
  /** Rows of a and c. */
  M: number;
  /** Columns of b and c. */
  N: number;
  /** Columns of a, rows of b. */
  K: number;
  /** By which the kernel is chosen, so that an item's result does not depend on its batch. */
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

/** The ops that are one product. */
export type ProductOp = "matmul" | "linear" | "geglu";

/**
 * Kernel, overrides and grid of a batched product. The tile follows the shape of one item, so that an item's result
 * does not depend on the batch that it is in.
 */
export function planMatmul(op: ProductOp, shape: ProductShape, transposeB: boolean, device: DeviceFacts, wanted?: ProductVariant): ProductPlan<MatmulKernel> {
  const { batches, M, N, K, itemRows } = shape;
  const shapeClass = `${classSide(itemRows)} rows ${classSide(K)}>${classSide(N)}${transposeB ? " transposed" : ""}`;
  const choice = chooseVariant<ProductVariant>(op, shapeClass, productVariants(device, N), device, wanted);
  const { variant } = choice;
  if (variant === "naive") return { kernel: matmulNaive, overrides: {}, quads: false, choice, grid: Math.ceil((batches * M * N) / 64) };
  const quads = !transposeB && N % 4 === 0;
  const tile = productTile(variant, itemRows, N, device);
  return { kernel: fastKernels[variant], overrides: { ...tile.overrides, QUADS: quads }, quads, choice, grid: batches * workgroupsOf(tile, M, N) };
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

function runMatmul(op: ProductOp, { a, b, bias, residual, c }: MatmulTensors, run: MatmulRun): void {
  const { shape, transposeB = false, gated = false, scale = 1, activation } = run;
  const { batches, M, N, K } = shape;
  const { gpu } = a;
  const [aRow, cRow] = [K, N].map((columns) => columns * dtypeBytes(a.dtype));
  // A batched product is left whole: its items have their own b.
  const parts = batches > 1 ? [{ row: 0, rows: batches * M }] : partsOf({ items: 1, rows: M }, Math.max(aRow, cRow), gpu.maxBindingBytes, alignedRows(aRow, cRow));
  for (const { row, rows } of parts) {
    const { kernel, overrides, quads, grid, choice } = planMatmul(op, { ...shape, M: rows / batches }, transposeB, deviceFacts(gpu), run.variant);
    const share = rows / (batches * M);
    gpu.run(kernel, {
      bindings: {
        a: elementRange(a, row * K, rows * K),
        b: quads ? undefined : b,
        b4: quads ? b : undefined,
        bias,
        residual: residual && elementRange(residual, row * N, rows * N),
        c: elementRange(c, row * N, rows * N),
      },
      params: { batches, M: rows / batches, N, K, b_stride: batches > 1 ? K * N : 0, scale },
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
      flops: share * (gated ? 4 : 2) * batches * M * N * K,
      bytes: share * bytesOf(a, b, bias, residual, c),
      choice,
    });
  }
}

/** Arguments of `geglu`. */
export interface GegluOptions {
  /** The columns of the value, then those of the gate: [K, 2N]. */
  weight: Tensor;
  /** [2N] */
  bias?: Tensor;
  /** Chosen from shape and device where absent. */
  variant?: ProductVariant;
}

/**
 * diffusers' GEGLU: (x W_a + b_a) * gelu(x W_g + b_g), the 2N columns stored only where a tape follows. x [..., K] ->
 * [..., N]. Throws ShapeError.
 */
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
  if (leavesActivation(x, weight, bias)) {
    const both = linear(x, { weight, bias, variant });
    const y = geluGate(both);
    both.free();
    return y;
  }
  const y = x.gpu.empty([...x.shape.slice(0, -1), N], x.dtype);
  const shape = { batches: 1, M: x.size / K, N, K, itemRows: itemRows(x) };
  runMatmul("geglu", { a: x, b: weight, bias, c: y }, { shape, gated: true, variant });
  return y;
}
