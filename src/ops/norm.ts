import { groupNormNaive, layerNorm as layerNormKernel, layerNormNaive } from "../generated/kernels.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";

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

/** Arguments of `groupNorm`. */
export interface GroupNormOptions {
  /** [C] */
  weight: Tensor;
  /** [C] */
  bias: Tensor;
  groups: number;
  eps: number;
  /** Whether SiLU follows. */
  silu?: boolean;
  /** [B, ..., C2]: its channels follow those of x. */
  skip?: Tensor;
  variant?: "naive";
}

/**
 * Group normalisation (torch.nn.GroupNorm) over channels-last input, and SiLU after it. x [B, H, W, C1] or [B, N, C1]
 * -> the same with C = C1 + C2 channels.
 */
export function groupNorm(x: Tensor, options: GroupNormOptions): Tensor {
  const { weight, bias, groups, eps, silu = false, skip } = options;
  check(x.shape.length >= 3, "groupNorm", `takes [B, H, W, C] or [B, N, C], got [${x.shape}]`, x);
  const outer = x.shape.slice(0, -1);
  const c1 = x.shape[x.shape.length - 1];
  const c2 = skip ? skip.shape[skip.shape.length - 1] : 0;
  const channels = c1 + c2;
  if (skip) checkShape("groupNorm", "skip", skip, [...outer, c2]);
  check(channels % groups === 0, "groupNorm", `C=${channels} is not divisible by groups=${groups}`, x);
  checkShape("groupNorm", "weight", weight, [channels]);
  checkShape("groupNorm", "bias", bias, [channels]);
  const y = x.gpu.empty([...outer, channels], x.dtype);
  const [batches] = x.shape;
  x.gpu.run(groupNormNaive, {
    bindings: { x, skip, weight, bias, y },
    params: { batches, positions: x.size / c1 / batches, c1, c2, groups, eps },
    overrides: { SILU: silu },
    prelude: { T: floatOf("groupNorm", x), W: floatOf("groupNorm", weight) },
    grid: Math.ceil((batches * groups) / 64),
    flops: 10 * y.size,
    bytes: bytesOf(x, skip, weight, bias, y),
  });
  return y;
}
