import { accumulateCapture as accumulateCaptureKernel, attentionNaive, crossAttentionNaive } from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";

/** Arguments of `attention`. */
export interface AttentionOptions {
  heads: number;
  /** Query i attends to the keys 0 to i; queries and keys are equally many. */
  causal?: boolean;
  /** u32 [B, Nk]: 1 = attend. A query with no key left attends uniformly to all keys. */
  keyMask?: Tensor;
  variant?: AttentionVariant;
}

/** Which kernel: chosen from the adapter where absent; naive is the second opinion. */
export type AttentionVariant = "naive";

/** The variants that a device can run on these sizes, the default first. */
export function attentionVariants(_gpu: Gpu, _shape: AttentionShape): AttentionVariant[] {
  return ["naive"];
}

/** Sizes of an attention: B items, Nq queries, Nk keys, H heads of d channels. */
export interface AttentionShape {
  batch: number;
  queries: number;
  keys: number;
  heads: number;
  headSize: number;
}

/** Kernel, grid and cost of a self-attention. */
export function planAttention(shape: AttentionShape) {
  const { batch, queries, keys, heads, headSize } = shape;
  return {
    kernel: attentionNaive,
    grid: Math.ceil((batch * queries * heads) / 64),
    flops: 4 * batch * heads * queries * keys * headSize,
    params: { batch, queries, keys, heads, head_size: headSize, scale: headSize ** -0.5 },
  };
}

/**
 * Fused attention, softmax(q k^T / sqrt(d)) v a head; scores never reach memory.
 * q [B, Nq, heads * d], k and v [B, Nk, heads * d] -> [B, Nq, heads * d].
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  const { causal = false, keyMask } = options;
  const shape = shapeOf("attention", q, k, v, options.heads);
  const { batch, keys, queries } = shape;
  checkShape("attention", "k", k, [batch, keys, q.shape[2]]);
  if (keyMask) checkShape("attention", "keyMask", keyMask, [batch, keys]);
  check(!causal || queries === keys, "attention", `causal needs as many queries as keys, got ${queries} and ${keys}`, q);
  const out = q.gpu.empty(q.shape, q.dtype);
  const { kernel, ...plan } = planAttention(shape);
  q.gpu.run(kernel, {
    ...plan,
    bindings: { q, k, v, key_mask: keyMask, out },
    overrides: { CAUSAL: causal, HAS_KEY_MASK: keyMask !== undefined },
    prelude: { T: floatOf("attention", q), D: shape.headSize },
    bytes: bytesOf(q, k, v, out),
  });
  return out;
}

/** Arguments of `crossAttention`. */
export interface CrossAttentionOptions {
  heads: number;
  /** u32 [B]: the context that each item uses. Absent: the only one, or item b uses context b. */
  contextOf?: Tensor;
  /** Which sums of the probabilities to keep: none where absent. */
  capture?: Capture;
  variant?: CrossAttentionVariant;
}

/** Sums over token sets by f32 weights [P, S, Nk], or every key's probability (S = Nk). */
export type Capture = { weights: Tensor } | { all: true };

/** Which kernel: chosen from the adapter where absent; naive is the second opinion. */
export type CrossAttentionVariant = "naive";

/** The variants that a device can run on these sizes, the default first. */
export function crossAttentionVariants(_gpu: Gpu, _shape: AttentionShape): CrossAttentionVariant[] {
  return ["naive"];
}

/** Kernel, grid and cost of a cross-attention that captures `sets` sums. */
export function planCrossAttention(shape: AttentionShape) {
  const { batch, queries, keys, heads, headSize } = shape;
  return {
    kernel: crossAttentionNaive,
    grid: Math.ceil((batch * queries) / 64),
    flops: 4 * batch * heads * queries * keys * headSize,
    params: { batch, queries, keys, heads, head_size: headSize, scale: headSize ** -0.5 },
  };
}

/**
 * Fused cross-attention that captures sums of its own probabilities P[b, h, q, j] in the same dispatch:
 * captured[b, s, q] = sum over heads and keys of weights[p, s, j] P[b, h, q, j] / heads, p being the item's context.
 * q [B, Nq, heads * d], k and v [contexts, Nk, heads * d] -> out [B, Nq, heads * d], captured f32 [B, S, Nq].
 */
export function crossAttention(q: Tensor, k: Tensor, v: Tensor, options: CrossAttentionOptions): { out: Tensor; captured?: Tensor } {
  const { contextOf, capture } = options;
  const shape = shapeOf("crossAttention", q, k, v, options.heads);
  const { batch, queries, keys } = shape;
  const contexts = k.shape[0];
  const contextStep = checkContexts("crossAttention", q, contexts, batch, contextOf);
  const weights = capture && "weights" in capture ? capture.weights : undefined;
  if (weights) {
    check(weights.dtype === "f32" && weights.shape.length === 3, "crossAttention", `capture weights are f32 [P, S, Nk], got ${weights.dtype} [${weights.shape}]`, q);
    checkShape("crossAttention", "capture weights", weights, [contexts, weights.shape[1], keys]);
  }
  const sets = weights ? weights.shape[1] : capture ? keys : 0;
  const out = q.gpu.empty(q.shape, q.dtype);
  // Without capture a scalar of its own is bound: the runtime's stand-in cannot be both read and written.
  const captured = q.gpu.empty(capture ? [batch, sets, queries] : [1]);
  const { kernel, ...plan } = planCrossAttention(shape);
  q.gpu.run(kernel, {
    ...plan,
    params: { ...plan.params, sets, context_step: contextStep },
    bindings: { q, k, v, context_of: contextOf, weights, out, captured },
    overrides: { HAS_CONTEXT_OF: contextOf !== undefined, CAPTURE: weights ? 1 : capture ? 2 : 0 },
    prelude: { T: floatOf("crossAttention", q), D: shape.headSize, H: shape.heads },
    bytes: bytesOf(q, k, v, weights, out, captured),
  });
  if (capture) return { out, captured };
  captured.free();
  return { out };
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
  const contextStep = checkContexts("accumulateCapture", captured, contexts, batch, contextOf);
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

/** Step from one item's context to the next one's; throws where the number of contexts fits no rule. */
function checkContexts(op: string, x: Tensor, contexts: number, batch: number, contextOf: Tensor | undefined): 0 | 1 {
  if (contextOf) checkShape(op, "contextOf", contextOf, [batch]);
  else check(contexts === 1 || contexts === batch, op, `${contexts} contexts for ${batch} items need contextOf`, x);
  return contexts === 1 ? 0 : 1;
}
