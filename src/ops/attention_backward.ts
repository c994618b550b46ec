import { attentionBackwardKNaive, attentionBackwardQNaive, attentionBackwardRowsNaive, attentionBackwardVNaive } from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { GradientsOf, Wants } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, checkShape, floatOf } from "./check.ts";

/** What the backward pass of `attention` and `crossAttention` reads: nothing of the size of queries times keys. */
export interface AttentionSaved {
  /** [B, Nq, heads * d] */
  q: Tensor;
  /** [contexts, Nk, heads * d] */
  k: Tensor;
  /** [contexts, Nk, heads * d] */
  v: Tensor;
  /** u32 [B, Nk]: 1 = attend. */
  keyMask?: Tensor;
  /** u32 [B]: the context that each item used. Absent: the only one, or item b used context b. */
  contextOf?: Tensor;
}

/** Which kernels: one invocation a row, the second opinion. */
export type AttentionBackwardVariant = "naive";

/** Variants that a device can run, the default first. */
export function attentionBackwardVariants(_gpu: Gpu): AttentionBackwardVariant[] {
  return ["naive"];
}

type AttentionInputs = { q: Tensor; k: Tensor; v: Tensor };

/** Options of `attentionBackward`. */
export interface AttentionBackwardOptions {
  heads: number;
  /** Whether query i attended to the keys 0 to i only. */
  causal?: boolean;
  /** Chosen from the device where absent. */
  variant?: AttentionBackwardVariant;
}

/**
 * Gradients of `attention` and `crossAttention`, in the dtype of q: P is computed anew, block by block. dout is of q's
 * shape. Those of k and v are sums over the items of a context in ascending order: the same bits every time.
 * Scores that a mask hides are constants, also in rows with no key left, whose gradient reaches v alone.
 */
export function attentionBackward(dout: Tensor, saved: AttentionSaved, wants: Wants<AttentionInputs>, options: AttentionBackwardOptions): GradientsOf<AttentionInputs> {
  const { q, k, v, keyMask, contextOf } = saved;
  const { heads, causal = false } = options;
  checkShape("attentionBackward", "dout", dout, q.shape);
  const { gpu } = q;
  const [batch, queries, channels] = q.shape;
  const [contexts, keys] = k.shape;
  const headSize = channels / heads;
  const T = floatOf("attentionBackward", q);
  const pairs = batch * heads * queries * keys;
  const inputs = { q, k, dout, key_mask: keyMask, context_of: contextOf };
  const common = {
    params: { batch, contexts, heads, queries, keys, head_size: headSize, context_step: contexts === 1 ? 0 : 1, scale: headSize ** -0.5 },
    overrides: { CAUSAL: causal, HAS_KEY_MASK: keyMask !== undefined, HAS_CONTEXT_OF: contextOf !== undefined },
    prelude: { T, D: headSize },
  };
  const queryGrid = Math.ceil((batch * queries * heads) / 64);
  const keyGrid = Math.ceil((contexts * keys * heads) / 64);
  const bytes = bytesOf(q, k, v, dout);
  return gpu.scope("attention_backward", () => {
    const statistics = gpu.empty([3, batch, heads, queries]);
    gpu.run(attentionBackwardRowsNaive, { ...common, bindings: { ...inputs, v, statistics }, grid: queryGrid, flops: 6 * pairs * headSize, bytes });
    const [dq, dk, dv] = [wants.q && gpu.empty(q.shape, T), wants.k && gpu.empty(k.shape, T), wants.v && gpu.empty(v.shape, T)];
    if (dq) gpu.run(attentionBackwardQNaive, { ...common, bindings: { ...inputs, v, statistics, dq }, grid: queryGrid, flops: 6 * pairs * headSize, bytes });
    if (dk) gpu.run(attentionBackwardKNaive, { ...common, bindings: { ...inputs, v, statistics, dk }, grid: keyGrid, flops: 6 * pairs * headSize, bytes });
    if (dv) gpu.run(attentionBackwardVNaive, { ...common, bindings: { ...inputs, statistics, dv }, grid: keyGrid, flops: 4 * pairs * headSize, bytes });
    return { q: dq || undefined, k: dk || undefined, v: dv || undefined };
  });
}
