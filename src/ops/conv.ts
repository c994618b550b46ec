import { conv2dNaive, conv2dSubgroup, conv2dTiled, conv2dVector } from "../generated/kernels.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { Tensor } from "../tensor.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { deviceFacts } from "./grid.ts";
import { type Activation, activationCode, linear } from "./matmul.ts";
import { type ProductPlan, type ProductVariant, type Tile, productTile, productVariant, workgroupsOf } from "./tiles.ts";

/** Arguments of `conv2d`. */
export interface Conv2dOptions {
  /** [kh, kw, Cin, Cout] */
  weight: Tensor;
  /** [Cout] */
  bias?: Tensor;
  /** Default 1. */
  stride?: 1 | 2;
  /** Rows and columns of zeros: top, left, bottom, right. Default none. */
  padding?: readonly [top: number, left: number, bottom: number, right: number];
  /** [B, H, W, C2]: read where it would be concatenated to x along the channels (Cin = C1 + C2). */
  skip?: Tensor;
  /** Whether the input is read as if nearest-upsampled by 2 first. */
  upsample?: boolean;
  /** [B, Cout], added to every pixel of a sample: the time embedding. */
  shift?: Tensor;
  activation?: Activation;
  /** [B, Ho, Wo, Cout], added last. */
  residual?: Tensor;
  variant?: ProductVariant;
}

/** Sizes of a convolution: input, kernel and output sides, channels, padding at the top and left. */
export interface Conv2dShape {
  batches: number;
  height: number;
  width: number;
  c1: number;
  c2: number;
  out_height: number;
  out_width: number;
  c_out: number;
  kernel: readonly [height: number, width: number];
  padding: readonly [top: number, left: number];
  stride: number;
}

type Conv2dBinding = "x" | "skip" | "weight" | "weight4" | "bias" | "shift" | "residual" | "y";
type Conv2dFlag = "UPSAMPLE" | "HAS_SKIP" | "HAS_BIAS" | "HAS_SHIFT" | "HAS_RESIDUAL" | "ACTIVATION" | "QUADS" | "WORKGROUP";
type Conv2dKernel = Kernel<Conv2dBinding, Conv2dShape, Conv2dFlag | keyof Tile["overrides"], { T: Float; W: Float }>;

const fastKernels: Record<Exclude<ProductVariant, "naive">, Conv2dKernel> = {
  subgroup: conv2dSubgroup,
  vector: conv2dVector,
  tiled: conv2dTiled,
};

/**
 * Kernel, overrides and grid of a convolution. The tile follows the shape of one sample, so that a sample's result
 * does not depend on the batch that it is in.
 */
export function planConv2d(shape: Conv2dShape, variant: ProductVariant): ProductPlan<Conv2dKernel> {
  const pixels = shape.out_height * shape.out_width;
  const N = shape.c_out;
  if (variant === "naive") return { kernel: conv2dNaive, overrides: {}, quads: false, grid: Math.ceil((shape.batches * pixels * N) / 64) };
  const quads = N % 4 === 0;
  const tile = productTile(variant, pixels, N);
  return { kernel: fastKernels[variant], overrides: { ...tile.overrides, QUADS: quads }, quads, grid: workgroupsOf(tile, shape.batches * pixels, N) };
}

/** Checks the arguments of a convolution and gives its sizes. */
function conv2dShape(x: Tensor, options: Conv2dOptions): Conv2dShape {
  const { weight, bias, stride = 1, padding = [0, 0, 0, 0], skip, upsample = false, shift, residual } = options;
  check(x.shape.length === 4, "conv2d", `takes [B, H, W, C], got [${x.shape}]`, x);
  check(weight.shape.length === 4, "conv2d", `weight is [${weight.shape}], needs [kh, kw, Cin, Cout]`, x);
  const [batches, height, width, c1] = x.shape;
  const [kernelHeight, kernelWidth, cIn, c_out] = weight.shape;
  const c2 = cIn - c1;
  if (skip) checkShape("conv2d", "skip", skip, [batches, height, width, c2]);
  else check(c2 === 0, "conv2d", `weight takes Cin=${cIn}, x has C=${c1}`, x);
  const factor = upsample ? 2 : 1;
  const [top, left, bottom, right] = padding;
  const out_height = Math.floor((factor * height + top + bottom - kernelHeight) / stride) + 1;
  const out_width = Math.floor((factor * width + left + right - kernelWidth) / stride) + 1;
  check(out_height > 0 && out_width > 0, "conv2d", `a ${kernelHeight}x${kernelWidth} kernel does not fit ${height}x${width} with padding ${padding}`, x);
  if (bias) checkShape("conv2d", "bias", bias, [c_out]);
  if (shift) checkShape("conv2d", "shift", shift, [batches, c_out]);
  if (residual) checkShape("conv2d", "residual", residual, [batches, out_height, out_width, c_out]);
  return { batches, height, width, c1, c2, out_height, out_width, c_out, kernel: [kernelHeight, kernelWidth], padding: [top, left], stride };
}

/** Whether a convolution is a linear layer of every pixel. */
function isPointwise({ weight, stride = 1, padding, skip, upsample, shift }: Conv2dOptions): boolean {
  const plain = !skip && !upsample && !shift && stride === 1;
  return plain && weight.shape[0] * weight.shape[1] === 1 && (padding ?? []).every((side) => side === 0);
}

/**
 * Convolution: activation(conv(x) + bias + shift) + residual. x [B, H, W, C1] -> [B, Ho, Wo, Cout]. The patches are
 * never stored, nor are the concatenated or upsampled input. Throws ShapeError.
 */
export function conv2d(x: Tensor, options: Conv2dOptions): Tensor {
  const { weight, bias, skip, upsample = false, shift, activation, residual, variant } = options;
  const shape = conv2dShape(x, options);
  const { batches, c1, c2, out_height, out_width, c_out } = shape;
  if (isPointwise(options)) {
    const matrix = weight.reshape(c1, c_out);
    const y = linear(x, { weight: matrix, bias, activation, residual, variant });
    matrix.free();
    return y;
  }
  const { kernel, overrides, quads, grid } = planConv2d(shape, variant ?? productVariant(deviceFacts(x.gpu), c_out));
  const y = x.gpu.empty([batches, out_height, out_width, c_out], x.dtype);
  x.gpu.run(kernel, {
    bindings: { x, skip, weight: quads ? undefined : weight, weight4: quads ? weight : undefined, bias, shift, residual, y },
    params: shape,
    overrides: {
      ...overrides,
      UPSAMPLE: upsample ? 2 : 1,
      HAS_SKIP: skip !== undefined,
      HAS_BIAS: bias !== undefined,
      HAS_SHIFT: shift !== undefined,
      HAS_RESIDUAL: residual !== undefined,
      ACTIVATION: activationCode(activation),
    },
    prelude: { T: floatOf("conv2d", x), W: floatOf("conv2d", weight) },
    grid,
    flops: 2 * y.size * shape.kernel[0] * shape.kernel[1] * (c1 + c2),
    bytes: bytesOf(x, skip, weight, bias, shift, residual, y),
  });
  return y;
}
