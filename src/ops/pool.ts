import { averagePool as averagePoolKernel, maxPool as maxPoolKernel } from "../generated/kernels.ts";
import { refuseGradient } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, floatOf } from "./check.ts";
import { elementGrid } from "./grid.ts";

/** Arguments of `maxPool` and `averagePool`. */
export interface PoolOptions {
  /** Sides of the window in pixels. */
  kernel: readonly [height: number, width: number];
  /** Pixels from window to window, in rows and columns alike. */
  stride: number;
  /** Rows above and below and columns left and right of the image that windows may reach over. Default none. */
  padding?: readonly [rows: number, columns: number];
}

/**
 * The greatest value of each window: torch.nn.MaxPool2d on channels-last images. x [B, H, W, C] -> [B, Ho, Wo, C],
 * Ho = floor((H + 2 padding - kernel) / stride) + 1. Not differentiable.
 */
export function maxPool(x: Tensor, options: PoolOptions): Tensor {
  return runPool("maxPool", maxPoolKernel, x, options);
}

/**
 * The mean of what of each window lies inside the image: torch.nn.AvgPool2d with count_include_pad=False on channels-last
 * images. Shapes as of `maxPool`. Not differentiable.
 */
export function averagePool(x: Tensor, options: PoolOptions): Tensor {
  return runPool("averagePool", averagePoolKernel, x, options);
}

/** The mean over all pixels: x [B, H, W, C] -> [B, C]. Not differentiable. */
export function pixelMean(x: Tensor): Tensor {
  check(x.shape.length === 4, "pixelMean", `takes [B, H, W, C], got [${x.shape}]`, x);
  const [batches, height, width, channels] = x.shape;
  return averagePool(x, { kernel: [height, width], stride: 1 }).reshape(batches, channels);
}

function runPool(op: string, pool: typeof maxPoolKernel, x: Tensor, { kernel, stride, padding = [0, 0] }: PoolOptions): Tensor {
  check(x.shape.length === 4, op, `takes [B, H, W, C], got [${x.shape}]`, x);
  // A window that lay in the padding alone would have no value.
  check(padding.every((side, axis) => 2 * side <= kernel[axis]), op, `padding ${padding} is more than half of the kernel ${kernel}`, x);
  const [batches, height, width, channels] = x.shape;
  const [out_height, out_width] = [height, width].map((side, axis) => Math.floor((side + 2 * padding[axis] - kernel[axis]) / stride) + 1);
  check(out_height > 0 && out_width > 0, op, `a window of ${kernel} does not fit ${height}x${width} with padding ${padding}`, x);
  refuseGradient(op, x);
  const y = x.gpu.empty([batches, out_height, out_width, channels], x.dtype);
  x.gpu.run(pool, {
    bindings: { x, y },
    params: { count: y.size, height, width, channels, out_height, out_width, kernel, padding, stride },
    prelude: { T: floatOf(op, x) },
    grid: elementGrid(x.gpu, y.size),
    flops: kernel[0] * kernel[1] * y.size,
    bytes: bytesOf(x, y),
  });
  return y;
}
