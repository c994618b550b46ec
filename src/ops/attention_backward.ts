import {
  attentionBackwardKvLanes,
  attentionBackwardKvNaive,
  attentionBackwardQLanes,
  attentionBackwardQNaive,
  attentionBackwardRows,
} from "../generated/kernels.ts";
import type { GradientsOf, Wants } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";
import { attentionLaneRows, attentionSlices, type DeviceFacts, deviceFacts } from "./grid.ts";

/** What the backward pass of `attention` and `crossAttention` reads: nothing of the size of queries times keys. */
export interface AttentionSaved {
  /** [B, Nq, heads * d] */
  q: Tensor;
  /** [contexts, Nk, heads * d] */
  k: Tensor;
  /** [contexts, Nk, heads * d] */
  v: Tensor;
  /** The result: [B, Nq, heads * d]. */
  out: Tensor;
  /** f32 [2, B, heads, Nq]: of every row of scores the largest, unscaled, and 1 over the sum of exponentials beside it. */
  statistics: Tensor;
  /** u32 [B, Nk]: 1 = attend. Not beside `contextOf`. */
  keyMask?: Tensor;
  /** u32 [B]: the context that each item used. Absent: the only one, or item b used context b. */
  contextOf?: Tensor;
}

type AttentionInputs = { q: Tensor; k: Tensor; v: Tensor };

/** Which kernels: `lanes` hold 32 rows a workgroup and need subgroups, `naive` one row an invocation. */
export type AttentionBackwardVariant = "lanes" | "naive";

/** Options of `attentionBackward`. */
export interface AttentionBackwardOptions {
  heads: number;
  /** Whether query i attended to the keys 0 to i only. */
  causal?: boolean;
  /** Chosen from the device where absent. */
  variant?: AttentionBackwardVariant;
}

/** Variants that a device can run, the default first. */
export function attentionBackwardVariants(device: DeviceFacts): AttentionBackwardVariant[] {
  return device.subgroupLanes >= 8 ? ["lanes", "naive"] : ["naive"];
}

const kernels = {
  lanes: { q: attentionBackwardQLanes, kv: attentionBackwardKvLanes },
  naive: { q: attentionBackwardQNaive, kv: attentionBackwardKvNaive },
};

/** Prelude and workgroups of a backward pass: `q` of the queries, `kv` of the keys. */
export function planAttentionBackward(shape: { batch: number; contexts: number; queries: number; keys: number; heads: number; headSize: number }, variant: AttentionBackwardVariant) {
  const { batch, contexts, queries, keys, heads, headSize } = shape;
  if (variant === "naive") {
    const grid = (items: number, rows: number) => Math.ceil((items * rows * heads) / 64);
    return { prelude: { CHANNELS: headSize }, grids: { q: grid(batch, queries), kv: grid(contexts, keys) } };
  }
  const { slices, channels } = attentionSlices(headSize);
  const grid = (items: number, rows: number) => items * heads * slices * Math.ceil(rows / attentionLaneRows);
  return { prelude: { CHANNELS: channels }, grids: { q: grid(batch, queries), kv: grid(contexts, keys) } };
}

/**
 * Gradients of `attention` and `crossAttention`, in the dtype of q; dout is of q's shape. Rebuilds P from the statistics
 * of every row. Gradients of k and v are sums over the items of a context in ascending order: the same bits every time.
 * Scores that a mask hides are constants, also in rows with no key left, whose gradient reaches v alone.
 */
export function attentionBackward(dout: Tensor, saved: AttentionSaved, wants: Wants<AttentionInputs>, options: AttentionBackwardOptions): GradientsOf<AttentionInputs> {
  const { q, k, v, keyMask, contextOf } = saved;
  const { heads, causal = false } = options;
  const { gpu } = q;
  checkShape("attentionBackward", "dout", dout, q.shape);
  check(!keyMask || !contextOf, "attentionBackward", "takes a key mask or contexts of items, not both", q);
  const variants = attentionBackwardVariants(deviceFacts(gpu));
  const { variant = variants[0] } = options;
  check(variants.includes(variant), "attentionBackward", `variant ${variant} does not run here`, q);
  const [batch, queries, channels] = q.shape;
  const [contexts, keys] = k.shape;
  const headSize = channels / heads;
  const { prelude, grids } = planAttentionBackward({ batch, contexts, queries, keys, heads, headSize }, variant);
  const kernel = kernels[variant];
  const T = floatOf("attentionBackward", q);
  const product = 2 * batch * heads * queries * keys * headSize;
  return gpu.scope("attention_backward", () => {
    const inputs = { q, k, v, dout, key_choice: keyMask ?? contextOf, statistics: rowStatistics(dout, saved, heads) };
    const common = {
      params: { batch, contexts, heads, queries, keys, head_size: headSize, context_step: contexts === 1 ? 0 : 1, scale: headSize ** -0.5 },
      overrides: { CAUSAL: causal, HAS_KEY_MASK: keyMask !== undefined, HAS_CONTEXT_OF: contextOf !== undefined },
      prelude: { ...prelude, T },
    };
    const dq = wants.q ? gpu.empty(q.shape, T) : undefined;
    if (dq) gpu.run(kernel.q, { ...common, bindings: { ...inputs, dq }, grid: grids.q, flops: 3 * product, bytes: bytesOf(q, k, v, dout, dq) });
    if (!wants.k && !wants.v) return { q: dq };
    const [dk, dv] = [gpu.empty(k.shape, T), gpu.empty(v.shape, T)];
    gpu.run(kernel.kv, { ...common, bindings: { ...inputs, dk, dv }, grid: grids.kv, flops: 4 * product, bytes: bytesOf(q, k, v, dout, dk, dv) });
    return { q: dq, k: wants.k ? dk : undefined, v: wants.v ? dv : undefined };
  });
}

/** What was saved of every row, and D, the sum of its probabilities times their gradients: f32 [3, B, heads, Nq]. */
function rowStatistics(dout: Tensor, { q, out, statistics: saved }: AttentionSaved, heads: number): Tensor {
  const [batch, queries, channels] = q.shape;
  checkShape("attentionBackward", "out", out, q.shape);
  checkShape("attentionBackward", "statistics", saved, [2, batch, heads, queries]);
  const statistics = q.gpu.empty([3, batch, heads, queries]);
  const count = batch * heads * queries;
  q.gpu.run(attentionBackwardRows, {
    bindings: { out, dout, saved, statistics },
    params: { count, heads, queries, head_size: channels / heads },
    prelude: { T: floatOf("attentionBackward", q) },
    grid: Math.ceil(count / 64),
    flops: 2 * q.size,
    bytes: bytesOf(out, dout, saved, statistics),
  });
  return statistics;
}
