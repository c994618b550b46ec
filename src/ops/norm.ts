import {
  groupNormApply,
  groupNormCombine,
  groupNormCombineSerial,
  groupNormNaive,
  groupNormPartial,
  layerNorm as layerNormWorkgroup,
  layerNormNaive,
  layerNormSubgroup,
} from "../generated/kernels.ts";
import type { BindingSource } from "../gpu/kernel.ts";
import type { VariantChoice } from "../gpu/variant_choices.ts";
import { differentiable, wantsGradient } from "../tape.ts";
import { type Tensor, dtypeBytes, sizeOf } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";
import { type DeviceFacts, type RowVariant, deviceFacts, mapChunk, planRows, sumChunk } from "./grid.ts";
import { groupNormBackward, layerNormBackward } from "./norm_backward.ts";
import { type Part, alignedRows, elementRange, partsOf } from "./ranges.ts";
import { chooseVariant, classSide } from "./variants.ts";

// --- layer norm ----------------------------------------------------------------------------------------------------

/** Arguments of `layerNorm`. */
export interface LayerNormOptions {
  /** [C] */
  weight: Tensor;
  /** [C] */
  bias: Tensor;
  /** Added to the variance. */
  eps: number;
  /** Which kernel, instead of the plan's choice. `subgroup` needs C to be a multiple of 4. */
  variant?: RowVariant;
}

const layerNormKernels = { subgroup: layerNormSubgroup, workgroup: layerNormWorkgroup, naive: layerNormNaive };

/** Kernel, grid and cost of a layer norm over R rows of C channels. */
export function planLayerNorm(rows: number, channels: number, device: DeviceFacts, variant?: RowVariant) {
  const { variant: chosen, ...plan } = planRows("layerNorm", rows, channels, device, variant);
  return { ...plan, kernel: layerNormKernels[chosen], flops: 8 * rows * channels };
}

/** Layer normalisation over the last dimension (torch.nn.LayerNorm). x [..., C] -> [..., C]. */
export function layerNorm(x: Tensor, options: LayerNormOptions): Tensor {
  const { weight, bias, eps, variant } = options;
  const channels = x.shape[x.shape.length - 1];
  checkShape("layerNorm", "weight", weight, [channels]);
  checkShape("layerNorm", "bias", bias, [channels]);
  check(variant !== "subgroup" || channels % 4 === 0, "layerNorm", `C=${channels} is not a multiple of 4, which the subgroup variant needs`, x);
  const rows = x.size / channels;
  const { kernel, ...plan } = planLayerNorm(rows, channels, deviceFacts(x.gpu), variant);
  const y = x.gpu.empty(x.shape, x.dtype);
  const statistics = wantsGradient(x, weight, bias) ? x.gpu.empty([rows, 2]) : undefined;
  x.gpu.run(kernel, {
    ...plan,
    bindings: { x, weight, bias, y, statistics },
    params: { rows, channels, eps },
    overrides: { SAVE_STATISTICS: statistics !== undefined },
    prelude: { T: floatOf("layerNorm", x), W: floatOf("layerNorm", weight) },
    bytes: bytesOf(x, weight, bias, y),
  });
  return differentiable(y, {
    inputs: { x, weight, bias },
    saved: { x, weight, statistics },
    backward: (dy, saved, wants) => layerNormBackward(dy, { ...saved, statistics: saved.statistics as Tensor }, wants, { variant }),
  });
}

// --- group norm ----------------------------------------------------------------------------------------------------

/** Who combines the partial sums of a group: a workgroup or one invocation; `naive` does everything with one. */
export type GroupNormVariant = "workgroup" | "serial" | "naive";

/** Arguments of `groupNorm`. */
export interface GroupNormOptions {
  /** [C] */
  weight: Tensor;
  /** [C] */
  bias: Tensor;
  /** G: must divide the channels of x and skip together. */
  groups: number;
  /** Added to the variance. */
  eps: number;
  /** Whether SiLU follows. */
  silu?: boolean;
  /** Its channels follow those of x: [B, ..., C2]. */
  skip?: Tensor;
  /** Instead of the plan's choice. All but `naive` need C1 and C2 to be multiples of 4. */
  variant?: GroupNormVariant;
}

/** B batches of S positions with C1 + C2 channels in G groups. */
interface GroupNormShape {
  batches: number;
  positions: number;
  c1: number;
  c2: number;
  groups: number;
}

/** Variants that can run on these channels, the default first. */
function groupNormVariants({ c1, c2 }: GroupNormShape, { software }: DeviceFacts): GroupNormVariant[] {
  if (c1 % 4 !== 0 || c2 % 4 !== 0) return ["naive"];
  return software ? ["serial", "workgroup"] : ["workgroup", "serial"];
}

/** Variant of a group norm, and how many positions an invocation of its first and its last kernel takes. */
export function planGroupNorm(shape: GroupNormShape, device: DeviceFacts, variant?: GroupNormVariant) {
  const { batches, positions, c1, c2, groups } = shape;
  const shapeClass = `${classSide(positions)} positions, ${classSide(c1 + c2)} channels, ${groups} groups`;
  const choice = chooseVariant("groupNorm", shapeClass, groupNormVariants(shape, device), device, variant);
  const quads = (batches * positions * (c1 + c2)) / 4;
  return {
    variant: choice.variant,
    choice,
    partialChunk: sumChunk(quads, device.software),
    applyChunk: mapChunk(quads, device.software),
  };
}

/**
 * Group normalisation (torch.nn.GroupNorm) over channels-last input, and SiLU after it. x [B, H, W, C1] or [B, N, C1]
 * -> the same with C = C1 + C2 channels.
 */
export function groupNorm(x: Tensor, options: GroupNormOptions): Tensor {
  const { weight, bias, groups, skip, silu = false } = options;
  check(x.shape.length >= 3, "groupNorm", `takes [B, H, W, C] or [B, N, C], got [${x.shape}]`, x);
  const outer = x.shape.slice(0, -1);
  const c1 = x.shape[x.shape.length - 1];
  const c2 = skip ? skip.shape[skip.shape.length - 1] : 0;
  const channels = c1 + c2;
  if (skip) checkShape("groupNorm", "skip", skip, [...outer, c2]);
  check(channels % groups === 0, "groupNorm", `C=${channels} is not divisible by groups=${groups}`, x);
  checkShape("groupNorm", "weight", weight, [channels]);
  checkShape("groupNorm", "bias", bias, [channels]);
  const [batches] = x.shape;
  const shape = { batches, positions: x.size / c1 / batches, c1, c2, groups };
  const plan = planGroupNorm(shape, deviceFacts(x.gpu), options.variant);
  const naive = plan.variant === "naive";
  check(naive || (c1 % 4 === 0 && c2 % 4 === 0), "groupNorm", `C1=${c1} and C2=${c2} are not multiples of 4, which the variant ${plan.variant} needs`, x);
  const y = x.gpu.empty([...outer, channels], x.dtype);
  const saves = wantsGradient(x, skip, weight, bias);
  return x.gpu.scope("group_norm", () => {
    const statistics = saves || !naive ? x.gpu.empty([batches, groups, 2]) : undefined;
    if (statistics && !naive) {
      groupStatistics(x, shape, options, plan, statistics);
      applyGroupNorm(x, y, 0, statistics, options, plan.applyChunk);
      if (skip) applyGroupNorm(skip, y, c1, statistics, options, plan.applyChunk);
    } else {
      runGroupNormNaive(x, y, shape, options, plan.choice, statistics);
    }
    return differentiable(y, {
      inputs: { x, skip, weight, bias },
      saved: { x, skip, weight, bias, statistics },
      backward: (dy, saved, wants) => groupNormBackward(dy, { ...saved, statistics: saved.statistics as Tensor }, wants, { silu, naive }),
    });
  });
}

/** The positions of x, an input of a norm over `channels`, in parts of whole chunks that a binding can hold. */
function positionParts(x: Tensor, channels: number, chunk: number): (Part & { chunks: number })[] {
  const [items, ...sides] = x.shape.slice(0, -1);
  const own = x.shape[x.shape.length - 1];
  const bytes = dtypeBytes(x.dtype);
  const step = chunk * alignedRows(chunk * own * bytes, chunk * channels * bytes, channels * dtypeBytes("f32"));
  const parts = partsOf({ items, rows: sizeOf(sides) }, channels * bytes, x.gpu.maxBindingBytes, step);
  return parts.map((part) => ({ ...part, chunks: Math.ceil(part.rows / chunk) }));
}

/** Writes mean and 1 / sqrt(var + eps) of every group: f32 [B, G, 2]. */
function groupStatistics(x: Tensor, shape: GroupNormShape, options: GroupNormOptions, plan: ReturnType<typeof planGroupNorm>, statistics: Tensor): void {
  const { choice, partialChunk: chunk } = plan;
  const { batches, positions, c1, c2, groups } = shape;
  const { gpu } = x;
  const channels = c1 + c2;
  const chunks = Math.ceil(positions / chunk);
  const mean = gpu.empty([batches, chunks, channels]);
  const squares = gpu.empty([batches, chunks, channels]);
  const partial = (input: Tensor, inputChannels: number, firstChannel: number) => {
    for (const part of positionParts(input, channels, chunk)) {
      const count = (part.items * part.chunks * inputChannels) / 4;
      const ofPart = (sums: Tensor) => elementRange(sums, (part.item * chunks + part.row / chunk) * channels, part.items * part.chunks * channels);
      gpu.run(groupNormPartial, {
        bindings: { x: rangeOf(input, positions, part), mean: ofPart(mean), squares: ofPart(squares) },
        params: { count, positions: part.rows, chunk, chunks: part.chunks, quads: inputChannels / 4, all_quads: channels / 4, first_quad: firstChannel / 4 },
        prelude: { T: floatOf("groupNorm", input) },
        grid: Math.ceil(count / 64),
        flops: 4 * part.items * part.rows * inputChannels,
        bytes: part.items * part.rows * inputChannels * dtypeBytes(input.dtype) + 32 * count,
      });
    }
  };
  partial(x, c1, 0);
  if (options.skip) partial(options.skip, c2, c1);
  const count = batches * groups;
  // The only kernel in which the variants differ.
  const serial = plan.variant === "serial";
  gpu.run(serial ? groupNormCombineSerial : groupNormCombine, {
    bindings: { mean, squares, statistics },
    params: { count, positions, chunk, chunks, channels, groups, eps: options.eps },
    prelude: {},
    grid: serial ? Math.ceil(count / 8) : count,
    bytes: bytesOf(mean, squares, statistics),
    choice,
  });
}

/** The elements of a part of x [items, positions, C]. */
function rangeOf(x: Tensor, positions: number, { item, items, row, rows }: Part): BindingSource {
  const channels = x.shape[x.shape.length - 1];
  return elementRange(x, (item * positions + row) * channels, items * rows * channels);
}

function applyGroupNorm(x: Tensor, y: Tensor, firstChannel: number, statistics: Tensor, options: GroupNormOptions, chunk: number): void {
  const { weight, bias, silu = false } = options;
  const [batches, groups] = statistics.shape;
  const c = x.shape[x.shape.length - 1];
  const positions = x.size / c / batches;
  for (const part of positionParts(x, weight.size, chunk)) {
    const count = (part.items * part.chunks * c) / 4;
    x.gpu.run(groupNormApply, {
      bindings: {
        x: rangeOf(x, positions, part),
        statistics: elementRange(statistics, 2 * groups * part.item, 2 * groups * part.items),
        weight,
        bias,
        y: rangeOf(y, positions, part),
      },
      params: { count, positions: part.rows, chunk, chunks: part.chunks, quads: c / 4, all_quads: weight.size / 4, first_quad: firstChannel / 4, groups },
      overrides: { SILU: silu },
      prelude: { T: floatOf("groupNorm", x), W: floatOf("groupNorm", weight) },
      grid: Math.ceil(count / 64),
      flops: 4 * part.items * part.rows * c,
      bytes: 2 * part.items * part.rows * c * dtypeBytes(x.dtype),
    });
  }
}

function runGroupNormNaive(x: Tensor, y: Tensor, shape: GroupNormShape, options: GroupNormOptions, choice: VariantChoice, statistics: Tensor | undefined): void {
  const { weight, bias, eps, silu = false, skip } = options;
  x.gpu.run(groupNormNaive, {
    bindings: { x, skip, weight, bias, y, statistics },
    params: { ...shape, eps },
    overrides: { SILU: silu, SAVE_STATISTICS: statistics !== undefined },
    prelude: { T: floatOf("groupNorm", x), W: floatOf("groupNorm", weight) },
    grid: Math.ceil((shape.batches * shape.groups) / 64),
    flops: 8 * y.size,
    bytes: bytesOf(x, skip, weight, bias, y, statistics),
    choice,
  });
}
