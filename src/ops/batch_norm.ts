import { batchNormFold, scaleShift as scaleShiftKernel } from "../generated/kernels.ts";
import { refuseGradient } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { type Activation, activationCode } from "./activation.ts";
import { bytesOf, checkShape, floatOf } from "./check.ts";
import { elementGrid } from "./grid.ts";

/** What a trained batch norm holds, [C] each. */
export interface BatchNormStatistics {
  /** torch's `weight`, gamma. */
  weight: Tensor;
  /** torch's `bias`, beta. */
  bias: Tensor;
  /** torch's `running_mean`. */
  mean: Tensor;
  /** torch's `running_var`. */
  variance: Tensor;
}

/**
 * A batch norm at inference as a scale and a shift of every channel, [C] each: scale = weight / sqrt(variance + eps),
 * shift = bias - mean * scale. Not differentiable.
 */
export function foldBatchNorm({ weight, bias, mean, variance }: BatchNormStatistics, eps: number): { scale: Tensor; shift: Tensor } {
  const { gpu, shape } = weight;
  for (const [name, tensor] of Object.entries({ bias, mean, variance })) checkShape("foldBatchNorm", name, tensor, shape);
  refuseGradient("foldBatchNorm", weight, bias, mean, variance);
  const [scale, shift] = [gpu.empty(shape, weight.dtype), gpu.empty(shape, weight.dtype)];
  gpu.run(batchNormFold, {
    bindings: { weight, bias, mean, variance, scale, shift },
    params: { count: weight.size, eps },
    prelude: { W: floatOf("foldBatchNorm", weight) },
    grid: elementGrid(gpu, weight.size),
    bytes: 6 * bytesOf(weight),
  });
  return { scale, shift };
}

/** Arguments of `scaleShift`. */
export interface ScaleShiftOptions {
  /** [C] */
  scale: Tensor;
  /** [C] */
  shift?: Tensor;
  /** Default: none. */
  activation?: Activation;
}

/** activation(x * scale + shift), channel by channel. x [..., C] to the same shape. Not differentiable. */
export function scaleShift(x: Tensor, { scale, shift, activation }: ScaleShiftOptions): Tensor {
  const channels = x.shape[x.shape.length - 1];
  checkShape("scaleShift", "scale", scale, [channels]);
  if (shift) checkShape("scaleShift", "shift", shift, [channels]);
  refuseGradient("scaleShift", x, scale, ...(shift ? [shift] : []));
  const y = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(scaleShiftKernel, {
    bindings: { x, scale, shift, y },
    params: { count: x.size, channels },
    overrides: { HAS_SHIFT: shift !== undefined, ACTIVATION: activationCode(activation) },
    prelude: { T: floatOf("scaleShift", x), W: floatOf("scaleShift", scale) },
    grid: elementGrid(x.gpu, x.size),
    flops: 2 * x.size,
    bytes: bytesOf(x, scale, shift, y),
  });
  return y;
}
