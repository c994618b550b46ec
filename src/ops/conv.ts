import { conv2dNaive } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";
import { type Activation, activationCode } from "./matmul.ts";

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
}

/**
 * Convolution: activation(conv(x) + bias + shift) + residual. x [B, H, W, C1] -> [B, Ho, Wo, Cout]. The patches are
 * never stored, nor are the concatenated or upsampled input. Throws ShapeError.
 */
export function conv2d(x: Tensor, options: Conv2dOptions): Tensor {
  const { weight, bias, stride = 1, padding = [0, 0, 0, 0], skip, upsample = false, shift, activation, residual } = options;
  check(x.shape.length === 4, "conv2d", `takes [B, H, W, C], got [${x.shape}]`, x);
  check(weight.shape.length === 4, "conv2d", `weight is [${weight.shape}], needs [kh, kw, Cin, Cout]`, x);
  const [batches, height, width, c1] = x.shape;
  const [kernelHeight, kernelWidth, cIn, cOut] = weight.shape;
  const c2 = cIn - c1;
  if (skip) checkShape("conv2d", "skip", skip, [batches, height, width, c2]);
  else check(c2 === 0, "conv2d", `weight takes Cin=${cIn}, x has C=${c1}`, x);
  const factor = upsample ? 2 : 1;
  const [top, left, bottom, right] = padding;
  const outHeight = Math.floor((factor * height + top + bottom - kernelHeight) / stride) + 1;
  const outWidth = Math.floor((factor * width + left + right - kernelWidth) / stride) + 1;
  check(outHeight > 0 && outWidth > 0, "conv2d", `a ${kernelHeight}x${kernelWidth} kernel does not fit ${height}x${width} with padding ${padding}`, x);
  const shape = [batches, outHeight, outWidth, cOut];
  if (bias) checkShape("conv2d", "bias", bias, [cOut]);
  if (shift) checkShape("conv2d", "shift", shift, [batches, cOut]);
  if (residual) checkShape("conv2d", "residual", residual, shape);
  const y = x.gpu.empty(shape, x.dtype);
  x.gpu.run(conv2dNaive, {
    bindings: { x, skip, weight, bias, shift, residual, y },
    params: {
      batches,
      height,
      width,
      c1,
      c2,
      out_height: outHeight,
      out_width: outWidth,
      c_out: cOut,
      kernel: [kernelHeight, kernelWidth],
      padding: [top, left],
      stride,
    },
    overrides: {
      UPSAMPLE: factor,
      HAS_BIAS: bias !== undefined,
      HAS_SHIFT: shift !== undefined,
      HAS_RESIDUAL: residual !== undefined,
      ACTIVATION: activationCode(activation),
    },
    prelude: { T: floatOf("conv2d", x), W: floatOf("conv2d", weight) },
    grid: Math.ceil(y.size / 64),
    flops: 2 * y.size * kernelHeight * kernelWidth * cIn,
    bytes: bytesOf(x, skip, weight, bias, shift, residual, y),
  });
  return y;
}
