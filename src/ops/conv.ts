import { conv2dNaive, conv2dSubgroup, conv2dTiled, conv2dVector, interleave } from "../generated/kernels.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { type GradientsOf, type Wants, differentiable, wantsGradient } from "../tape.ts";
import { type Tensor, dtypeBytes } from "../tensor.ts";
import { sumRows } from "./accumulate.ts";
import { type Activation, activate, activationCode, leavesActivation } from "./activation.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { type Conv2dBand, conv2dBands } from "./conv_bands.ts";
import { type DeviceFacts, deviceFacts, elementGrid } from "./grid.ts";
import { linear } from "./matmul.ts";
import { cast } from "./pointwise.ts";
import { elementRange } from "./ranges.ts";
import { type ProductPlan, type ProductVariant, type Tile, productTile, productVariants, workgroupsOf } from "./tiles.ts";
import { turnWeight } from "./turn_weight.ts";
import { chooseVariant, classSide } from "./variants.ts";
import { weightGradient } from "./weight_gradient.ts";

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
  /** Read where it would be concatenated to x along the channels: [B, H, W, C2], with Cin = C1 + C2. */
  skip?: Tensor;
  /** Whether the input is read as if nearest-upsampled by 2 first. */
  upsample?: boolean;
  /** [B, Cout], added to every pixel of a sample: the time embedding. */
  shift?: Tensor;
  /** Of the sum with bias and shift, before the residual. Default: none. */
  activation?: Activation;
  /** [B, Ho, Wo, Cout], added last. */
  residual?: Tensor;
  /** Chosen from shape and device where absent. */
  variant?: ProductVariant;
}

/** Sizes of a convolution: input, kernel and output sides, channels, padding at the top and left. */
export interface Conv2dShape {
  /** B */
  batches: number;
  /** H of x in pixels, before an upsampling. */
  height: number;
  /** W of x in pixels, before an upsampling. */
  width: number;
  /** Channels of x. */
  c1: number;
  /** Channels of skip; 0 without one. */
  c2: number;
  /** Ho */
  out_height: number;
  /** Wo */
  out_width: number;
  /** Cout */
  c_out: number;
  /** In pixels of the input as it is read, after an upsampling. */
  kernel: readonly [height: number, width: number];
  /** Rows and columns of zeros; those at the bottom and right follow from the output's sides. */
  padding: readonly [top: number, left: number];
  /** Of rows and columns alike, in pixels of the input as it is read. */
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
export function planConv2d(shape: Conv2dShape, device: DeviceFacts, wanted?: ProductVariant): ProductPlan<Conv2dKernel> {
  const pixels = shape.out_height * shape.out_width;
  const N = shape.c_out;
  const choice = chooseVariant<ProductVariant>("conv2d", conv2dClass(shape), productVariants(device, N), device, wanted);
  const { variant } = choice;
  if (variant === "naive") return { kernel: conv2dNaive, overrides: {}, quads: false, choice, grid: Math.ceil((shape.batches * pixels * N) / 64) };
  const quads = N % 4 === 0;
  const tile = productTile(variant, pixels, N, device);
  return { kernel: fastKernels[variant], overrides: { ...tile.overrides, QUADS: quads }, quads, choice, grid: workgroupsOf(tile, shape.batches * pixels, N) };
}

/** Taps and stride, sides of the output, channels: `3x3 32x32 64>64`. */
function conv2dClass({ kernel, stride, out_height, out_width, c1, c2, c_out }: Conv2dShape): string {
  return `${kernel.join("x")}${stride > 1 ? `/${stride}` : ""} ${classSide(out_height)}x${classSide(out_width)} ${classSide(c1 + c2)}>${classSide(c_out)}`;
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
  if (isPointwise(options)) {
    const matrix = weight.reshape(shape.c1, shape.c_out);
    const y = linear(x, { weight: matrix, bias, activation, residual, variant });
    matrix.free();
    return y;
  }
  if (activation && leavesActivation(x, skip, weight, bias, shift)) {
    const sums = conv2d(x, { ...options, activation: undefined, residual: undefined });
    const y = activate(sums, activation, residual);
    sums.free();
    return y;
  }
  const inputs = { x, skip, weight, bias, shift, residual };
  return differentiable(runConv2d(x, options, shape), {
    inputs,
    saved: {
      x: wantsGradient(weight) ? x : undefined,
      skip: wantsGradient(weight) ? skip : undefined,
      weight: wantsGradient(x, skip) ? weight : undefined,
    },
    backward: (dy, saved, wants) => conv2dBackward(dy, saved, wants, { shape, upsample, variant }),
  });
}

function runConv2d(x: Tensor, options: Conv2dOptions, shape: Conv2dShape): Tensor {
  const { weight, bias, skip, upsample = false, shift, activation, residual } = options;
  const { gpu } = x;
  const { batches, c1, c2, out_height, out_width, c_out } = shape;
  const y = gpu.empty([batches, out_height, out_width, c_out], x.dtype);
  const factor = upsample ? 2 : 1;
  for (const band of conv2dBands(shape, factor, dtypeBytes(x.dtype), gpu.maxBindingBytes)) {
    const { kernel, overrides, quads, grid, choice } = planConv2d(band.shape, deviceFacts(gpu), options.variant);
    const pixels = (image: Tensor, { first, count }: Conv2dBand["input"], channels: number) => elementRange(image, first * channels, count * channels);
    const share = band.output.count / (batches * out_height * out_width);
    gpu.run(kernel, {
      bindings: {
        x: pixels(x, band.input, c1),
        skip: skip && pixels(skip, band.input, c2),
        weight: quads ? undefined : weight,
        weight4: quads ? weight : undefined,
        bias,
        shift: shift && elementRange(shift, band.sample * c_out, band.shape.batches * c_out),
        residual: residual && pixels(residual, band.output, c_out),
        y: pixels(y, band.output, c_out),
      },
      params: band.shape,
      overrides: {
        ...overrides,
        UPSAMPLE: factor,
        HAS_SKIP: skip !== undefined,
        HAS_BIAS: bias !== undefined,
        HAS_SHIFT: shift !== undefined,
        HAS_RESIDUAL: residual !== undefined,
        ACTIVATION: activationCode(activation),
      },
      prelude: { T: floatOf("conv2d", x), W: floatOf("conv2d", weight) },
      grid,
      flops: share * 2 * y.size * shape.kernel[0] * shape.kernel[1] * (c1 + c2),
      bytes: share * bytesOf(x, skip, weight, bias, shift, residual, y),
      choice,
    });
  }
  return y;
}

// --- backward ------------------------------------------------------------------------------------------------------

/** What the backward pass of `conv2d` reads. */
export interface Conv2dSaved {
  /** [B, H, W, C1], where the weight wants a gradient. */
  x?: Tensor;
  /** [B, H, W, C2], where the weight wants a gradient. */
  skip?: Tensor;
  /** [kh, kw, Cin, Cout], where x or skip wants a gradient. */
  weight?: Tensor;
}

type Conv2dInputs = { x: Tensor; skip: Tensor | undefined; weight: Tensor; bias: Tensor | undefined; shift: Tensor | undefined; residual: Tensor | undefined };

/** How a convolution was done. */
export interface Conv2dBackwardOptions {
  /** Sizes of the forward convolution. */
  shape: Conv2dShape;
  /** Whether the forward convolution read its input as if nearest-upsampled by 2. */
  upsample: boolean;
  /** Of both gradients' products; chosen from shape and device where absent. */
  variant?: ProductVariant;
}

/**
 * Gradients of `conv2d` without activation: weight's and bias's f32, the others' in dy's dtype. dy [B, Ho, Wo, Cout].
 */
export function conv2dBackward(dy: Tensor, saved: Conv2dSaved, wants: Wants<Conv2dInputs>, options: Conv2dBackwardOptions): GradientsOf<Conv2dInputs> {
  const { x, skip, weight } = saved;
  const { shape, upsample, variant } = options;
  const { batches, c1, c2, out_height, out_width, c_out } = shape;
  checkShape("conv2dBackward", "dy", dy, [batches, out_height, out_width, c_out]);
  const positions = batches * out_height * out_width;
  // The shift's gradient is the bias's of every sample.
  const sums = wants.shift ? sumRows(dy.reshape(batches, out_height * out_width, c_out)) : undefined;
  const rows = sums ?? dy;
  return {
    x: wants.x && weight ? inputGradient(dy, weight, [0, c1], options) : undefined,
    skip: wants.skip && weight ? inputGradient(dy, weight, [c1, c2], options) : undefined,
    weight: wants.weight && x ? weightGradient(x, dy, { ...shape, items: 1, positions, N: c_out }, { skip, upsample, variant }).reshape(...shape.kernel, c1 + c2, c_out) : undefined,
    bias: wants.bias ? sumRows(rows.reshape(1, rows.size / c_out, c_out)).reshape(c_out) : undefined,
    shift: sums && cast(sums, floatOf("conv2dBackward", dy)),
    residual: wants.residual ? dy.reshape(...dy.shape) : undefined,
  };
}

type Channels = readonly [first: number, count: number];

/**
 * Gradient of some channels of a convolution's input: itself a convolution of dy, with the turned weight. The taps of the
 * copies of a nearest-upsampled pixel are added up first. Of a convolution of stride 2, even and odd rows and columns of
 * the input meet taps of their own: four convolutions, whose results are interleaved.
 */
function inputGradient(dy: Tensor, weight: Tensor, channels: Channels, options: Conv2dBackwardOptions): Tensor {
  const { gpu } = dy;
  const { shape, upsample } = options;
  const phases = shape.stride === 2 && !upsample ? [0, 1] : [0];
  return gpu.scope("conv_input", () => {
    if (phases.length === 1) return phaseGradient(dy, weight, channels, options, 1, [0, 0]);
    const dx = gpu.empty([shape.batches, shape.height, shape.width, channels[1]], dy.dtype);
    for (const row of phases.slice(0, shape.height)) {
      for (const column of phases.slice(0, shape.width)) {
        gpu.scope(`phase_${row}${column}`, () => interleaveInto(dx, phaseGradient(dy, weight, channels, options, 2, [row, column]), [row, column]));
      }
    }
    return dx;
  });
}

/** The gradient of every `phases`-th row and column of the input from `phase` on. */
function phaseGradient(dy: Tensor, weight: Tensor, channels: Channels, { shape, upsample, variant }: Conv2dBackwardOptions, phases: number, phase: readonly [number, number]): Tensor {
  const { height, width, out_height, out_width, kernel, padding, stride } = shape;
  const block = upsample ? 2 : 1;
  const side = (size: number, axis: 0 | 1) => {
    // Row o of dy met tap at - stride * o of the kernel in the first row of this phase, and the block's next ones.
    const at = block * phase[axis] + padding[axis];
    const first = Math.ceil((at - kernel[axis] + 1) / stride);
    const taps = Math.max(1, Math.floor((at + block - 1) / stride) - first + 1);
    return { first, taps, origin: at - stride * first, size: Math.ceil((size - phase[axis]) / phases) };
  };
  const [rows, columns] = [side(height, 0), side(width, 1)];
  const turned = turnWeight(weight, { channels, taps: [rows.taps, columns.taps], origin: [rows.origin, columns.origin], stride, block });
  const step = (block * phases) / stride === 2 ? 2 : 1;
  const after = ({ first, taps, size }: typeof rows, from: number) => (size - 1) * step + taps + first - from;
  const sides = [-rows.first, -columns.first, after(rows, out_height), after(columns, out_width)] as const;
  const dx = conv2d(dy, { weight: turned, stride: step, padding: sides, variant });
  turned.free();
  return dx;
}

/** Writes x [B, Hq, Wq, C] to every second row and column of y [B, H, W, C] from `phase` on. */
function interleaveInto(y: Tensor, x: Tensor, phase: readonly [number, number]): void {
  const [, in_height, in_width, channels] = x.shape;
  const [, height, width] = y.shape;
  x.gpu.run(interleave, {
    bindings: { x, y },
    params: { count: x.size, in_height, in_width, height, width, channels, phase },
    prelude: { T: floatOf("interleave", x) },
    grid: elementGrid(x.gpu, x.size),
    bytes: 2 * bytesOf(x),
  });
}
