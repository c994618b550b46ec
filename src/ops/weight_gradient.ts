import { weightGradientNaive, weightGradientSubgroup, weightGradientTiled, weightGradientVector } from "../generated/kernels.ts";
import { type Tensor, sizeOf } from "../tensor.ts";
import { sumRows } from "./accumulate.ts";
import { bytesOf, floatOf } from "./check.ts";
import type { Conv2dShape } from "./conv.ts";
import { type DeviceFacts, deviceFacts } from "./grid.ts";
import { type ProductVariant, productTile, productVariants, workgroupsOf } from "./tiles.ts";
import { chooseVariant, classSide } from "./variants.ts";

/**
 * Sizes of a weight gradient: for each of `items`, the sum over `positions` of the C1 + C2 channels that each tap of the
 * kernel reads, times the N columns of dy. The other sizes are those of the convolution; its one item holds all samples.
 */
export interface WeightGradientShape extends Omit<Conv2dShape, "batches" | "c_out"> {
  items: number;
  positions: number;
  N: number;
}

/** The shape of x [items, positions, K] transposed times dy [items, positions, N]. */
export function transposedProduct(items: number, positions: number, K: number, N: number): WeightGradientShape {
  const image = { height: 1, width: positions, out_height: 1, out_width: positions };
  return { items, positions, c1: K, c2: 0, N, ...image, kernel: [1, 1], padding: [0, 0], stride: 1 };
}

/** Whether output pixel m reads input pixel m. */
function isPointwise({ kernel, stride, height, width, out_height, out_width }: WeightGradientShape, upsample: boolean): boolean {
  return kernel[0] * kernel[1] === 1 && stride === 1 && !upsample && height === out_height && width === out_width;
}

const fastKernels = { subgroup: weightGradientSubgroup, vector: weightGradientVector, tiled: weightGradientTiled };

/** Workgroups that keep a device busy: what a sum over many positions is split for. */
const busy = { software: 16, hardware: 512 };

/** Positions below which a chunk is not worth its share of the second pass. */
const leastChunk = 64;

/** Kernel, tile, chunks of positions and grid of a weight gradient. */
export function planWeightGradient(shape: WeightGradientShape, device: DeviceFacts, variant: Exclude<ProductVariant, "naive">) {
  const { items, positions, c1, c2, N, kernel } = shape;
  const tile = productTile(variant, c1 + c2, N, device);
  const parts = items * kernel[0] * kernel[1] * workgroupsOf(tile, c1 + c2, N);
  const wanted = Math.ceil((device.software ? busy.software : busy.hardware) / parts);
  const chunk = Math.ceil(positions / Math.min(wanted, Math.ceil(positions / leastChunk)));
  const chunks = Math.ceil(positions / chunk);
  return { kernel: fastKernels[variant], overrides: tile.overrides, chunk, chunks, grid: chunks * parts };
}

/** Taps, positions that are summed over, channels: `3x3 1024 positions 64>64`. */
function weightGradientClass({ kernel, positions, c1, c2, N }: WeightGradientShape): string {
  return `${kernel.join("x")} ${classSide(positions)} positions ${classSide(c1 + c2)}>${classSide(N)}`;
}

/** Arguments of `weightGradient`. */
export interface WeightGradientOptions {
  /** [B, H, W, C2] */
  skip?: Tensor;
  /** Whether the input was read as if nearest-upsampled by 2. */
  upsample?: boolean;
  /** Factor of the result. Default 1. */
  scale?: number;
  variant?: ProductVariant;
}

/**
 * Gradient of the weight of a product or a convolution: x of items * positions rows [K], or [B, H, W, C1]; dy of items *
 * positions rows [N] -> f32 [items, kh, kw, C1 + C2, N]. Sums in f32: of chunks of positions, then over the chunks, in an
 * order that follows the shape and the kind of device alone: the same inputs give the same bits.
 */
export function weightGradient(x: Tensor, dy: Tensor, shape: WeightGradientShape, options: WeightGradientOptions = {}): Tensor {
  const { skip, upsample = false, scale = 1 } = options;
  const { items, positions, c1, c2, N, kernel } = shape;
  const device = deviceFacts(x.gpu);
  const choice = chooseVariant<ProductVariant>("weightGradient", weightGradientClass(shape), productVariants(device, N), device, options.variant);
  const { variant } = choice;
  const size = [items, ...kernel, c1 + c2, N];
  const shared = {
    overrides: { UPSAMPLE: upsample ? 2 : 1, HAS_SKIP: skip !== undefined },
    prelude: { T: floatOf("weightGradient", x) },
    flops: 2 * positions * sizeOf(size),
    choice,
  };
  return x.gpu.scope("weight_gradient", () => {
    if (variant === "naive") {
      const sums = x.gpu.empty(size);
      const grid = Math.ceil(sums.size / 64);
      x.gpu.run(weightGradientNaive, { ...shared, bindings: { x, skip, dy, sums }, params: { ...shape, scale }, grid, bytes: bytesOf(x, skip, dy, sums) });
      return sums;
    }
    const { chunk, chunks, grid, ...plan } = planWeightGradient(shape, device, variant);
    // The subgroup kernel takes channels one by one.
    const channelQuads = variant !== "subgroup" && c1 % 4 === 0 && c2 % 4 === 0;
    const columnQuads = N % 4 === 0;
    const inputs = channelQuads ? { x: undefined, x4: x, skip: undefined, skip4: skip } : { x, x4: undefined, skip, skip4: undefined };
    const sums = x.gpu.empty([1, chunks, sizeOf(size)]);
    x.gpu.run(plan.kernel, {
      ...shared,
      bindings: { ...inputs, dy: columnQuads ? undefined : dy, dy4: columnQuads ? dy : undefined, sums },
      params: { ...shape, chunk, chunks, scale },
      overrides: { ...shared.overrides, ...plan.overrides, POINTWISE: isPointwise(shape, upsample), QUAD_CHANNELS: channelQuads, QUADS: columnQuads },
      grid,
      bytes: bytesOf(x, skip, dy, sums),
    });
    return (chunks === 1 ? sums : sumRows(sums)).reshape(...size);
  });
}
