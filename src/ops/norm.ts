import { layerNorm as layerNormKernel, layerNormNaive } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, checkShape, floatOf } from "./check.ts";

/** Arguments of `layerNorm`. */
export interface LayerNormOptions {
  /** [C] */
  weight: Tensor;
  /** [C] */
  bias: Tensor;
  eps: number;
  /** Which kernel: the default, or the naive one as second opinion. */
  variant?: "rows" | "naive";
}

/** Kernel, grid and cost of a layer norm over R rows of C channels. */
export function planLayerNorm(rows: number, channels: number, variant: "rows" | "naive" = "rows") {
  const naive = variant === "naive";
  return {
    kernel: naive ? layerNormNaive : layerNormKernel,
    grid: naive ? Math.ceil(rows / 64) : rows,
    flops: 8 * rows * channels,
  };
}

/** Layer normalisation over the last dimension (torch.nn.LayerNorm). x [..., C] -> [..., C]. */
export function layerNorm(x: Tensor, options: LayerNormOptions): Tensor {
  const { weight, bias, eps } = options;
  const channels = x.shape[x.shape.length - 1];
  checkShape("layerNorm", "weight", weight, [channels]);
  checkShape("layerNorm", "bias", bias, [channels]);
  const rows = x.size / channels;
  const { kernel, ...plan } = planLayerNorm(rows, channels, options.variant);
  const y = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(kernel, {
    ...plan,
    bindings: { x, weight, bias, y },
    params: { rows, channels, eps },
    prelude: { T: floatOf("layerNorm", x), W: floatOf("layerNorm", weight) },
    bytes: bytesOf(x, weight, bias, y),
  });
  return y;
}
