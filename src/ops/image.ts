import { meanFilter, resizeAxis } from "../generated/kernels.ts";
import { refuseGradient } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { type Float, bytesOf, check, floatOf } from "./check.ts";
import { elementGrid } from "./grid.ts";

/**
 * Bilinear resize with half-pixel centres, PyTorch's `interpolate(mode="bilinear", align_corners=False)`, or with
 * `antialias` as torchvision's Resize. x [B, H, W, C] -> [B, height, width, C]. Separable: first the rows, then the columns.
 * Not differentiable.
 * @param options.antialias whether pixels are averaged where the image shrinks
 */
export function resizeBilinear(x: Tensor, height: number, width: number, options: { antialias: boolean }): Tensor {
  check(x.shape.length === 4, "resizeBilinear", `takes [B, H, W, C], got [${x.shape}]`, x);
  check(Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0, "resizeBilinear", `no image of ${height}x${width}`, x);
  const [batches, inHeight, inWidth, channels] = x.shape;
  const { antialias } = options;
  refuseGradient("resizeBilinear", x);
  return x.gpu.scope("resize", () => {
    // f32 in between: rounded once.
    const rows = resizeOneAxis(x, [batches, inHeight, inWidth * channels], height, antialias, "f32");
    const columns = resizeOneAxis(rows, [batches * height, inWidth, channels], width, antialias, floatOf("resizeBilinear", x));
    return columns.reshape(batches, height, width, channels);
  });
}

/** Resizes the middle of three sides: [outer, length, inner] -> [outer, outLength, inner]. */
function resizeOneAxis(x: Tensor, [outer, length, inner]: [number, number, number], outLength: number, antialias: boolean, dtype: Float): Tensor {
  check(2 * length * outLength < 2 ** 32, "resizeBilinear", `${length} to ${outLength} samples is too much`, x);
  const support = antialias ? Math.max(1, length / outLength) : 1;
  const y = x.gpu.empty([outer, outLength, inner], dtype);
  x.gpu.run(resizeAxis, {
    bindings: { x, y },
    params: { count: y.size, length, out_length: outLength, inner, support },
    prelude: { T: floatOf("resizeBilinear", x), W: dtype },
    grid: elementGrid(y.gpu, y.size),
    flops: 2 * (2 * Math.ceil(support) + 1) * y.size,
    bytes: bytesOf(x, y),
  });
  return y;
}

/** Mean over each 3x3 window; pixels on the border keep their value. x [B, H, W] -> [B, H, W]. Not differentiable. */
export function meanFilter3x3(x: Tensor): Tensor {
  check(x.shape.length === 3, "meanFilter3x3", `takes [B, H, W], got [${x.shape}]`, x);
  refuseGradient("meanFilter3x3", x);
  const [, height, width] = x.shape;
  const y = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(meanFilter, {
    bindings: { x, y },
    params: { count: x.size, height, width },
    prelude: { T: floatOf("meanFilter3x3", x) },
    grid: elementGrid(x.gpu, x.size),
    flops: 9 * x.size,
    bytes: bytesOf(x, y),
  });
  return y;
}
