import {
  accumulateCapture as accumulateCaptureKernel,
  attentionLanes,
  attentionNaive,
  attentionTiles,
  crossAttentionLanes,
  crossAttentionNaive,
  crossAttentionTiles,
} from "../generated/kernels.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { VariantChoice } from "../gpu/variant_choices.ts";
import { differentiable, refuseGradient, wantsGradient } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { attentionBackward } from "./attention_backward.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { attentionLaneRows, attentionSlices, type DeviceFacts, deviceFacts } from "./grid.ts";
import { chooseVariant, classSide } from "./variants.ts";

/** Which kernel: `lanes` for devices that compute on the CPU, `tiles` for GPUs, `naive` as second opinion for both. */
export type AttentionVariant = "lanes" | "tiles" | "naive";

/** Sizes of an attention: B items, Nq queries, Nk keys, H heads of d channels. */
export interface AttentionShape {
  /** B */
  batch: number;
  /** Nq */
  queries: number;
  /** Nk */
  keys: number;
  /** H */
  heads: number;
  /** d */
  headSize: number;
}

/** A kernel, what it is specialised by, its workgroups and its cost. */
type Choice<K> =
  K extends Kernel<infer B, infer P, infer _O, infer _L>
    ? {
        /** One of the variant's. */
        kernel: Kernel<B, P, string, Specialisation & { T: Float }>;
        /** Sizes that arrays and unrolled loops are compiled with. */
        prelude: Specialisation;
        /** Pipeline constants. */
        overrides: {
          /** Groups of four queries in a workgroup of `tiles`. */
          ROW_GROUPS?: number;
        };
        /** Workgroups. */
        grid: number;
        /** Floating-point operations of both products. */
        flops: number;
      }
    : never;

/** Prelude constants of the variants; the kernels' headers explain them. */
interface Specialisation {
  D?: number;
  CHANNELS?: number;
  H?: number;
  LOADS?: number;
  COLS?: number;
  CHUNKS?: number;
  TILES?: number;
}

// --- self-attention ----------------------------------------------------------------------------------------------

/** Arguments of `attention`. */
export interface AttentionOptions {
  /** H: their d channels each lie side by side in q, k and v. */
  heads: number;
  /** Query i attends to the keys 0 to i; queries and keys are equally many. */
  causal?: boolean;
  /** u32 [B, Nk]: 1 = attend. A query with no key left attends uniformly to all keys, as with transformers' masks. */
  keyMask?: Tensor;
  /** Chosen from shape and device where absent. */
  variant?: AttentionVariant;
}

/** Variants that a device can run, the default first. */
export function attentionVariants(device: DeviceFacts): AttentionVariant[] {
  return variantsOf({ lanes: true, tiles: true }, device);
}

/** Kernel, constants, grid and cost of an attention. */
export function planAttention(shape: AttentionShape, variant: AttentionVariant): Choice<typeof attentionNaive> {
  const { batch, queries, heads, headSize } = shape;
  const flops = flopsOf(shape);
  if (variant === "naive") {
    return { kernel: attentionNaive, prelude: { D: headSize }, overrides: {}, grid: Math.ceil((batch * queries * heads) / 64), flops };
  }
  if (variant === "lanes") {
    const { slices, channels } = attentionSlices(headSize);
    const grid = batch * heads * slices * Math.ceil(queries / attentionLaneRows);
    return { kernel: attentionLanes, prelude: { CHANNELS: channels }, overrides: {}, grid, flops };
  }
  const { COLS, ROW_GROUPS } = tilesOf(shape);
  // An invocation holds at most 32 vec4 of sums; larger heads are cut into slices.
  const chunks = Math.ceil(headSize / (8 * COLS));
  const CHUNKS = Math.ceil(chunks / Math.ceil(chunks / Math.floor(32 / COLS)));
  const grid = batch * heads * Math.ceil(chunks / CHUNKS) * Math.ceil(queries / (4 * ROW_GROUPS));
  return { kernel: attentionTiles, prelude: { COLS, CHUNKS }, overrides: { ROW_GROUPS }, grid, flops };
}

/**
 * Fused attention, softmax(q k^T / sqrt(d)) v a head; scores never reach memory.
 * q [B, Nq, heads * d], k and v [B, Nk, heads * d] -> [B, Nq, heads * d].
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  const { causal = false, keyMask } = options;
  const shape = shapeOf("attention", q, k, v, options.heads);
  const { batch, queries, keys, heads, headSize } = shape;
  checkShape("attention", "k", k, [batch, keys, q.shape[2]]);
  if (keyMask) checkShape("attention", "keyMask", keyMask, [batch, keys]);
  check(!causal || queries === keys, "attention", `causal needs as many queries as keys, got ${queries} and ${keys}`, q);
  const device = deviceFacts(q.gpu);
  const choice = chooseAttention("attention", shape, attentionVariants(device), device, options.variant, q);
  const { kernel, prelude, overrides, grid, flops } = planAttention(shape, choice.variant);
  const out = q.gpu.empty(q.shape, q.dtype);
  const statistics = rowStatistics(shape, q, k, v);
  q.gpu.run(kernel, {
    bindings: { q, k, v, key_mask: keyMask, out, statistics },
    params: { batch, heads, queries, keys, head_size: headSize, scale: headSize ** -0.5 },
    overrides: { ...overrides, CAUSAL: causal, HAS_KEY_MASK: keyMask !== undefined, SAVE_STATISTICS: statistics !== undefined },
    prelude: { ...prelude, T: floatOf("attention", q) },
    grid,
    flops,
    bytes: bytesOf(q, k, v, out),
    choice,
  });
  return differentiable(out, {
    inputs: { q, k, v },
    saved: { q, k, v, keyMask, out, statistics },
    backward: (dout, saved, wants) => attentionBackward(dout, { ...saved, statistics: saved.statistics as Tensor }, wants, { heads, causal }),
  });
}

// --- cross-attention with capture --------------------------------------------------------------------------------

/** Sums over token sets by f32 weights [P, S, Nk], or every key's probability (S = Nk). */
export type Capture = { weights: Tensor } | { all: true };

/** Arguments of `crossAttention`. */
export interface CrossAttentionOptions {
  /** H: their d channels each lie side by side in q, k and v. */
  heads: number;
  /** u32 [B]: the context that each item uses. Absent: the only one, or item b uses context b. */
  contextOf?: Tensor;
  /** Which sums of the probabilities to keep: none where absent. */
  capture?: Capture;
  /** Chosen from shape and device where absent. */
  variant?: AttentionVariant;
}

/** Variants that a device can run on a shape, the default first. Only the naive one takes more than 256 keys. */
export function crossAttentionVariants(shape: AttentionShape, device: DeviceFacts): AttentionVariant[] {
  // All scores of a head stay in registers: 80 vec4 a lane, or 32 an invocation of a tile.
  return variantsOf({ lanes: shape.keys <= 80, tiles: shape.keys <= 256 }, device);
}

/** Kernel, constants, grid and cost of a cross-attention. */
export function planCrossAttention(shape: AttentionShape, variant: AttentionVariant): Choice<typeof crossAttentionNaive> {
  const { batch, queries, keys, heads, headSize } = shape;
  const flops = flopsOf(shape);
  if (variant === "naive") {
    return { kernel: crossAttentionNaive, prelude: { D: headSize, H: heads }, overrides: {}, grid: Math.ceil((batch * queries) / 64), flops };
  }
  if (variant === "lanes") {
    return { kernel: crossAttentionLanes, prelude: { LOADS: Math.ceil(keys / 16) }, overrides: {}, grid: batch * Math.ceil(queries / attentionLaneRows), flops };
  }
  const { COLS, ROW_GROUPS } = tilesOf(shape);
  const grid = batch * Math.ceil(queries / (4 * ROW_GROUPS));
  return { kernel: crossAttentionTiles, prelude: { COLS, TILES: Math.ceil(keys / 32) }, overrides: { ROW_GROUPS }, grid, flops };
}

/**
 * Fused cross-attention that captures sums of its own probabilities P[b, h, q, j] in the same dispatch:
 * captured[b, s, q] = sum over keys of weights[p, s, j] times the mean over heads of P[b, h, q, j], p being the item's
 * context. No gradient flows through captures: a tape on which one would be lost refuses them.
 * q [B, Nq, heads * d], k and v [contexts, Nk, heads * d] -> out [B, Nq, heads * d], captured f32 [B, S, Nq].
 */
export function crossAttention(q: Tensor, k: Tensor, v: Tensor, options: CrossAttentionOptions): { out: Tensor; captured?: Tensor } {
  const { contextOf, capture } = options;
  const shape = shapeOf("crossAttention", q, k, v, options.heads);
  const { batch, queries, keys, heads, headSize } = shape;
  const contexts = k.shape[0];
  const contextStep = contextStepOf("crossAttention", q, contexts, batch, contextOf);
  const weights = capture && "weights" in capture ? capture.weights : undefined;
  if (weights) checkShape("crossAttention", "capture weights", weights, [contexts, weights.shape[1], keys]);
  const device = deviceFacts(q.gpu);
  const choice = chooseAttention("crossAttention", shape, crossAttentionVariants(shape, device), device, options.variant, q);
  const { kernel, prelude, overrides, grid, flops } = planCrossAttention(shape, choice.variant);
  if (capture) refuseGradient("crossAttention with capture", q, k, v);
  const sets = weights ? weights.shape[1] : capture ? keys : 0;
  const out = q.gpu.empty(q.shape, q.dtype);
  const captured = capture && q.gpu.empty([batch, sets, queries]);
  const statistics = rowStatistics(shape, q, k, v);
  q.gpu.run(kernel, {
    bindings: { q, k, v, context_of: contextOf, weights, out, captured, statistics },
    params: { batch, heads, queries, keys, head_size: headSize, sets, context_step: contextStep, scale: headSize ** -0.5 },
    overrides: { ...overrides, HAS_CONTEXT_OF: contextOf !== undefined, CAPTURE: weights ? 1 : capture ? 2 : 0, SAVE_STATISTICS: statistics !== undefined },
    prelude: { ...prelude, T: floatOf("crossAttention", q) },
    grid,
    flops,
    bytes: bytesOf(q, k, v, weights, out, captured),
    choice,
  });
  differentiable(out, {
    inputs: { q, k, v },
    saved: { q, k, v, contextOf, out, statistics },
    backward: (dout, saved, wants) => attentionBackward(dout, { ...saved, statistics: saved.statistics as Tensor }, wants, { heads }),
  });
  return { out, captured };
}

/** Arguments of `accumulateCapture`. */
export interface AccumulateCaptureOptions {
  /** u32 [B]: the context that each item used. Absent: the only one, or item b used context b. */
  contextOf?: Tensor;
  /** f32 [B]: weight of each item, such as that of its timestep. */
  weights: Tensor;
}

/**
 * Adds what a batch captured to running sums: sink[p] += weights[b] * captured[b] for the items b of context p in
 * ascending order, so that splitting the batch over several calls gives the same bits.
 * sink f32 [P, S, Nq] is changed in place and returned; captured f32 [B, S, Nq].
 */
export function accumulateCapture(sink: Tensor, captured: Tensor, options: AccumulateCaptureOptions): Tensor {
  const { contextOf, weights } = options;
  const [batch, sets, queries] = captured.shape;
  const contexts = sink.shape[0];
  checkShape("accumulateCapture", "sink", sink, [contexts, sets, queries]);
  checkShape("accumulateCapture", "weights", weights, [batch]);
  const contextStep = contextStepOf("accumulateCapture", captured, contexts, batch, contextOf);
  sink.gpu.run(accumulateCaptureKernel, {
    bindings: { captured, item_weights: weights, context_of: contextOf, sink },
    params: { count: sink.size, map: sets * queries, batch, context_step: contextStep },
    overrides: { HAS_CONTEXT_OF: contextOf !== undefined },
    prelude: {},
    grid: Math.ceil(sink.size / 64),
    flops: 2 * captured.size,
    bytes: bytesOf(captured, sink, sink),
  });
  return sink;
}

// --- what both share ---------------------------------------------------------------------------------------------

/** Scores and sums of values: a multiplication and an addition each. */
function flopsOf({ batch, heads, queries, keys, headSize }: AttentionShape): number {
  return 4 * batch * heads * queries * keys * headSize;
}

/** Channels of values an invocation (4 or 5, whichever leaves fewer unused) and groups of 4 queries a workgroup. */
function tilesOf({ queries, headSize }: AttentionShape): { COLS: number; ROW_GROUPS: number } {
  const padded = (columns: number) => Math.ceil(headSize / (8 * columns)) * 8 * columns;
  return { COLS: padded(5) <= padded(4) ? 5 : 4, ROW_GROUPS: queries <= 256 ? 8 : 16 };
}

function variantsOf(fits: { lanes: boolean; tiles: boolean }, device: DeviceFacts): AttentionVariant[] {
  const lanes: AttentionVariant[] = fits.lanes && device.subgroupLanes >= 8 ? ["lanes"] : [];
  const tiles: AttentionVariant[] = fits.tiles ? ["tiles"] : [];
  return device.software ? [...lanes, ...tiles, "naive"] : [...tiles, ...lanes, "naive"];
}

function chooseAttention(
  op: "attention" | "crossAttention",
  { queries, keys, heads, headSize }: AttentionShape,
  possible: AttentionVariant[],
  device: DeviceFacts,
  wanted: AttentionVariant | undefined,
  x: Tensor,
): VariantChoice & { variant: AttentionVariant } {
  if (wanted) check(possible.includes(wanted), op, `variant ${wanted} does not run here, only ${possible.join(", ")}`, x);
  // The naive one is last: only a shape that nothing else takes is left to it.
  const candidates = possible.length > 1 ? possible.filter((variant) => variant !== "naive") : possible;
  return chooseVariant(op, `${classSide(queries)} queries, ${classSide(keys)} keys, ${heads} heads of ${classSide(headSize)}`, candidates, device, wanted);
}

/** Sizes of an attention from its tensors; throws where they do not fit together. The batch of k is left to the caller. */
function shapeOf(op: string, q: Tensor, k: Tensor, v: Tensor, heads: number): AttentionShape {
  check(q.shape.length === 3, op, `q is [${q.shape}], needs [B, Nq, C]`, q);
  check(k.shape.length === 3, op, `k is [${k.shape}], needs [B, Nk, C]`, q);
  const [batch, queries, channels] = q.shape;
  const keys = k.shape[1];
  checkShape(op, "k", k, [k.shape[0], keys, channels]);
  checkShape(op, "v", v, k.shape);
  check(k.dtype === q.dtype && v.dtype === q.dtype, op, `q, k and v have one dtype, got ${q.dtype}, ${k.dtype}, ${v.dtype}`, q);
  check(Number.isInteger(heads) && heads > 0 && channels % heads === 0, op, `C=${channels} is not divisible by heads=${heads}`, q);
  return { batch, queries, keys, heads, headSize: channels / heads };
}

/** What the backward pass needs of the rows of scores, f32 [2, B, heads, Nq], to be written; undefined when there will be none. */
function rowStatistics({ batch, heads, queries }: AttentionShape, q: Tensor, k: Tensor, v: Tensor): Tensor | undefined {
  return wantsGradient(q, k, v) ? q.gpu.empty([2, batch, heads, queries]) : undefined;
}

/** Step from one item's context to the next one's; throws where the number of contexts fits no rule. */
function contextStepOf(op: string, x: Tensor, contexts: number, batch: number, contextOf: Tensor | undefined): 0 | 1 {
  if (contextOf) checkShape(op, "contextOf", contextOf, [batch]);
  else check(contexts === 1 || contexts === batch, op, `${contexts} contexts for ${batch} items need contextOf`, x);
  return contexts === 1 ? 0 : 1;
}
