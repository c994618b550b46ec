import {
  groupNormBackwardApply,
  groupNormBackwardApplyNaive,
  groupNormBackwardMeans,
  groupNormBackwardPartial,
  groupNormBackwardPartialNaive,
  layerNormBackward as layerNormBackwardWorkgroup,
  layerNormBackwardNaive,
  layerNormBackwardPartial,
  layerNormBackwardPartialNaive,
  layerNormBackwardSubgroup,
} from "../generated/kernels.ts";
import type { GradientsOf, Wants } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { sumRows } from "./accumulate.ts";
import { bytesOf, checkShape, floatOf } from "./check.ts";
import { type DeviceFacts, type RowVariant, deviceFacts, mapChunk, planRows, sumChunk } from "./grid.ts";

// --- layer norm ----------------------------------------------------------------------------------------------------

/** What the backward pass of `layerNorm` reads. */
export interface LayerNormSaved {
  /** [..., C] */
  x: Tensor;
  /** [C] */
  weight: Tensor;
  /** f32 [R, 2]: mean and 1 / sqrt(var + eps) of every row. */
  statistics: Tensor;
}

type LayerNormInputs = { x: Tensor; weight: Tensor; bias: Tensor };

const layerNormBackwardKernels = { subgroup: layerNormBackwardSubgroup, workgroup: layerNormBackwardWorkgroup, naive: layerNormBackwardNaive };

/** Kernel, grid and cost of the gradient of a layer norm's input. */
export function planLayerNormBackward(rows: number, channels: number, device: DeviceFacts, variant?: RowVariant) {
  const { variant: chosen, ...plan } = planRows("layerNormBackward", rows, channels, device, variant);
  return { ...plan, kernel: layerNormBackwardKernels[chosen], flops: 11 * rows * channels };
}

/**
 * Gradients of `layerNorm`: x's in its dtype, those of weight and bias f32. dy [..., C].
 * @param options.variant of x's gradient, instead of the plan's choice; "naive" also of weight's and bias's
 */
export function layerNormBackward(dy: Tensor, saved: LayerNormSaved, wants: Wants<LayerNormInputs>, options: { variant?: RowVariant } = {}): GradientsOf<LayerNormInputs> {
  const { x, weight, statistics } = saved;
  const { variant } = options;
  checkShape("layerNormBackward", "dy", dy, x.shape);
  const channels = weight.size;
  const rows = x.size / channels;
  const parameters = wants.weight || wants.bias ? layerNormParameterGradients(dy, saved, wants, variant === "naive") : undefined;
  if (!wants.x) return { ...parameters };
  const { kernel, ...plan } = planLayerNormBackward(rows, channels, deviceFacts(x.gpu), variant);
  const dx = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(kernel, {
    ...plan,
    bindings: { x, dy, statistics, weight, dx },
    params: { rows, channels },
    prelude: { T: floatOf("layerNormBackward", x), W: floatOf("layerNormBackward", weight) },
    bytes: bytesOf(x, dy, statistics, weight, dx),
  });
  return { x: dx, ...parameters };
}

function layerNormParameterGradients(dy: Tensor, { x, weight, statistics }: LayerNormSaved, wants: Wants<LayerNormInputs>, naive: boolean): ParameterGradients {
  const channels = weight.size;
  const rows = x.size / channels;
  const quads = channels % 4 === 0 && !naive;
  const columns = quads ? channels / 4 : channels;
  const chunk = sumChunk(rows * columns, x.gpu.adapter.software);
  const chunks = Math.ceil(rows / chunk);
  return x.gpu.scope("layer_norm_parameters", () => {
    const sums = x.gpu.empty([1, chunks, 2 * channels]);
    x.gpu.run(quads ? layerNormBackwardPartial : layerNormBackwardPartialNaive, {
      bindings: { x, dy, statistics, sums },
      params: { count: chunks * columns, rows, chunk, columns },
      prelude: { T: floatOf("layerNormBackward", x) },
      grid: Math.ceil((chunks * columns) / 64),
      flops: 5 * x.size,
      bytes: bytesOf(x, dy, statistics, sums),
    });
    return parameterGradients(sums, wants);
  });
}

// --- group norm ----------------------------------------------------------------------------------------------------

/** What the backward pass of `groupNorm` reads. */
export interface GroupNormSaved {
  /** [B, ..., C1] */
  x: Tensor;
  /** [B, ..., C2] */
  skip?: Tensor;
  /** [C] */
  weight: Tensor;
  /** [C] */
  bias: Tensor;
  /** f32 [B, G, 2]: mean and 1 / sqrt(var + eps) of every group. */
  statistics: Tensor;
}

type GroupNormInputs = { x: Tensor; skip: Tensor | undefined; weight: Tensor; bias: Tensor };

/** Options of `groupNormBackward`. */
export interface GroupNormBackwardOptions {
  /** Whether SiLU followed. */
  silu: boolean;
  /** Takes the kernels of one channel an invocation, instead of four where C1 and C2 allow it. */
  naive?: boolean;
}

/** Gradients of `groupNorm`: those of x and skip in their dtype, those of weight and bias f32. dy [B, ..., C1 + C2]. */
export function groupNormBackward(dy: Tensor, saved: GroupNormSaved, wants: Wants<GroupNormInputs>, options: GroupNormBackwardOptions): GradientsOf<GroupNormInputs> {
  const { x, skip, weight } = saved;
  const { gpu } = x;
  const channels = weight.size;
  const c1 = x.shape[x.shape.length - 1];
  checkShape("groupNormBackward", "dy", dy, [...x.shape.slice(0, -1), channels]);
  const quads = c1 % 4 === 0 && channels % 4 === 0 && !options.naive;
  return gpu.scope("group_norm", () => {
    const sums = channelSums(dy, saved, quads, options.silu); // [1, B, 2C]
    const parameters = parameterGradients(sums, wants);
    if (!wants.x && !wants.skip) return parameters;
    const means = groupMeans(sums, saved);
    const dx = wants.x ? applyBackward(dy, x, 0, saved, means, quads, options.silu) : undefined;
    const dskip = wants.skip && skip ? applyBackward(dy, skip, c1, saved, means, quads, options.silu) : undefined;
    return { x: dx, skip: dskip, ...parameters };
  });
}

/** Sums of dbias and dweight over the positions of every batch item: f32 [1, B, 2C]. */
function channelSums(dy: Tensor, saved: GroupNormSaved, quads: boolean, silu: boolean): Tensor {
  const { x, skip, weight, bias, statistics } = saved;
  const { gpu } = x;
  const [batches, groups] = statistics.shape;
  const channels = weight.size;
  const positions = dy.size / channels / batches;
  const lanes = quads ? 4 : 1;
  const chunk = quads ? sumChunk(dy.size / 4, gpu.adapter.software) : positions;
  const chunks = Math.ceil(positions / chunk);
  const sums = gpu.empty([batches, chunks, 2 * channels]);
  const partial = (input: Tensor, firstChannel: number) => {
    const columns = input.shape[input.shape.length - 1] / lanes;
    const count = batches * chunks * columns;
    gpu.run(quads ? groupNormBackwardPartial : groupNormBackwardPartialNaive, {
      bindings: { x: input, dy, statistics, weight, bias, sums },
      params: { count, positions, chunk, chunks, columns, all_columns: channels / lanes, first_column: firstChannel / lanes, groups },
      overrides: { SILU: silu },
      prelude: { T: floatOf("groupNormBackward", input), W: floatOf("groupNormBackward", weight) },
      grid: Math.ceil(count / 64),
      flops: (silu ? 14 : 5) * input.size,
      bytes: 2 * bytesOf(input) + 8 * lanes * count,
    });
  };
  partial(x, 0);
  if (skip) partial(skip, x.shape[x.shape.length - 1]);
  return (chunks === 1 ? sums : sumRows(sums)).reshape(1, batches, 2 * channels);
}

/** Means over every group of the gradient, and of its product with the normalised input: f32 [B, G, 2]. */
function groupMeans(sums: Tensor, { x, weight, statistics }: GroupNormSaved): Tensor {
  const [batches, groups] = statistics.shape;
  const means = x.gpu.empty([batches, groups, 2]);
  const positions = x.size / x.shape[x.shape.length - 1] / batches;
  x.gpu.run(groupNormBackwardMeans, {
    bindings: { sums, weight, means },
    params: { count: batches * groups, positions, channels: weight.size, groups },
    prelude: { W: floatOf("groupNormBackward", weight) },
    grid: Math.ceil((batches * groups) / 8),
    flops: 4 * batches * weight.size,
    bytes: bytesOf(sums, weight, means),
  });
  return means;
}

/** The gradient of one input, whose channels start at `firstChannel` of dy's. */
function applyBackward(dy: Tensor, x: Tensor, firstChannel: number, saved: GroupNormSaved, means: Tensor, quads: boolean, silu: boolean): Tensor {
  const { weight, bias, statistics } = saved;
  const [batches, groups] = statistics.shape;
  const lanes = quads ? 4 : 1;
  const columns = x.shape[x.shape.length - 1] / lanes;
  const positions = x.size / lanes / columns / batches;
  const chunk = mapChunk(x.size / lanes, x.gpu.adapter.software);
  const chunks = Math.ceil(positions / chunk);
  const count = batches * chunks * columns;
  const dx = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(quads ? groupNormBackwardApply : groupNormBackwardApplyNaive, {
    bindings: { x, dy, statistics, weight, bias, means, dx },
    params: { count, positions, chunk, chunks, columns, all_columns: weight.size / lanes, first_column: firstChannel / lanes, groups },
    overrides: { SILU: silu },
    prelude: { T: floatOf("groupNormBackward", x), W: floatOf("groupNormBackward", weight) },
    grid: Math.ceil(count / 64),
    flops: (silu ? 16 : 7) * x.size,
    bytes: 3 * bytesOf(x),
  });
  return dx;
}

// --- weight and bias -----------------------------------------------------------------------------------------------

/** Gradients of a norm's weight and bias: f32 [C]. */
interface ParameterGradients {
  weight?: Tensor;
  bias?: Tensor;
}

/** Adds up partial sums f32 [1, K, 2C], bias first, for the wanted ones. */
function parameterGradients(sums: Tensor, wants: { weight: boolean; bias: boolean }): ParameterGradients {
  const channels = sums.shape[2] / 2;
  const column = (first: number) => sumRows(sums, { first, columns: channels }).reshape(channels);
  return { weight: wants.weight ? column(channels) : undefined, bias: wants.bias ? column(0) : undefined };
}
