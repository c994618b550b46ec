import {
  attentionBackwardKLanes,
  attentionBackwardKNaive,
  attentionBackwardQLanes,
  attentionBackwardQNaive,
  attentionBackwardRowsLanes,
  attentionBackwardRowsNaive,
  attentionBackwardVLanes,
  attentionBackwardVNaive,
} from "../generated/kernels.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { GradientsOf, Wants } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, check, checkShape, floatOf } from "./check.ts";

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
export function attentionBackwardVariants(gpu: Gpu): AttentionBackwardVariant[] {
  return gpu.has("subgroups") && gpu.device.adapterInfo.subgroupMinSize >= 8 ? ["lanes", "naive"] : ["naive"];
}

const kernels = {
  lanes: { rows: attentionBackwardRowsLanes, q: attentionBackwardQLanes, k: attentionBackwardKLanes, v: attentionBackwardVLanes },
  naive: { rows: attentionBackwardRowsNaive, q: attentionBackwardQNaive, k: attentionBackwardKNaive, v: attentionBackwardVNaive },
};

/** Prelude and workgroups of a backward pass: `statistics` of the rows, `q` of the queries, `kv` of the keys. */
export function planAttentionBackward(shape: { batch: number; contexts: number; queries: number; keys: number; heads: number; headSize: number }, variant: AttentionBackwardVariant) {
  const { batch, contexts, queries, keys, heads, headSize } = shape;
  if (variant === "naive") {
    const grid = (items: number, rows: number) => Math.ceil((items * rows * heads) / 64);
    return { prelude: { CHANNELS: headSize }, grids: { statistics: grid(batch, queries), q: grid(batch, queries), kv: grid(contexts, keys) } };
  }
  const slices = Math.ceil(headSize / 160);
  const grid = (items: number, rows: number) => items * heads * Math.ceil(rows / 32);
  const grids = { statistics: grid(batch, queries), q: slices * grid(batch, queries), kv: slices * grid(contexts, keys) };
  return { prelude: { CHANNELS: Math.ceil(headSize / slices) }, grids };
}

/**
 * Gradients of `attention` and `crossAttention`, in the dtype of q; dout is of q's shape. Rebuilds P from every row's
 * maximum and total. Gradients of k and v are sums over the items of a context in ascending order: the same bits every time.
 * Scores that a mask hides are constants, also in rows with no key left, whose gradient reaches v alone.
 */
export function attentionBackward(dout: Tensor, saved: AttentionSaved, wants: Wants<AttentionInputs>, options: AttentionBackwardOptions): GradientsOf<AttentionInputs> {
  const { q, k, v, keyMask, contextOf } = saved;
  const { heads, causal = false } = options;
  const { gpu } = q;
  checkShape("attentionBackward", "dout", dout, q.shape);
  const [variant] = options.variant ? [options.variant] : attentionBackwardVariants(gpu);
  check(attentionBackwardVariants(gpu).includes(variant), "attentionBackward", `variant ${variant} does not run here`, q);
  const [batch, queries, channels] = q.shape;
  const [contexts, keys] = k.shape;
  const headSize = channels / heads;
  const { prelude, grids } = planAttentionBackward({ batch, contexts, queries, keys, heads, headSize }, variant);
  const kernel = kernels[variant];
  const T = floatOf("attentionBackward", q);
  const product = 2 * batch * heads * queries * keys * headSize;
  const inputs = { q, k, dout, key_mask: keyMask, context_of: contextOf };
  const common = {
    params: { batch, contexts, heads, queries, keys, head_size: headSize, context_step: contexts === 1 ? 0 : 1, scale: headSize ** -0.5 },
    overrides: { CAUSAL: causal, HAS_KEY_MASK: keyMask !== undefined, HAS_CONTEXT_OF: contextOf !== undefined },
    prelude: { ...prelude, T },
    bytes: bytesOf(q, k, v, dout),
  };
  return gpu.scope("attention_backward", () => {
    const statistics = gpu.empty([3, batch, heads, queries]);
    gpu.run(kernel.rows, { ...common, bindings: { ...inputs, v, statistics }, grid: grids.statistics, flops: 2 * product });
    const gradients: { q?: Tensor; k?: Tensor; v?: Tensor } = {};
    if (wants.q) {
      gradients.q = gpu.empty(q.shape, T);
      gpu.run(kernel.q, { ...common, bindings: { ...inputs, v, statistics, dq: gradients.q }, grid: grids.q, flops: 3 * product });
    }
    if (wants.k) {
      gradients.k = gpu.empty(k.shape, T);
      gpu.run(kernel.k, { ...common, bindings: { ...inputs, v, statistics, dk: gradients.k }, grid: grids.kv, flops: 3 * product });
    }
    if (wants.v) {
      gradients.v = gpu.empty(v.shape, T);
      gpu.run(kernel.v, { ...common, bindings: { ...inputs, statistics, dv: gradients.v }, grid: grids.kv, flops: 2 * product });
    }
    return gradients;
  });
}
