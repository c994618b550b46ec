// What the gradients of attention share: params, bindings, places, and which keys an item attends to.
//
// P[i, j] = exp(scale * (s[i, j] - m[i])) / total[i] where s[i, j] = q[b, i, h] . k[p, j, h]
// dS[i, j] = P[i, j] * (dP[i, j] - D[i]) where dP[i, j] = dout[b, i, h] . v[p, j, h]; 0 for a masked key, whose score is a
// constant
//
// q, dout    [B, Nq, H * d], k, v [P, Nk, H * d] storage type T
// key_choice HAS_KEY_MASK: [B, Nk], 1 = attend; a row with no key left attends uniformly to all Nk
//            HAS_CONTEXT_OF: [B], the context p of an item; without it p = b * context_step
//            One binding for both, as no attention has both and kernels with two outputs have no other left.
// statistics [3, B, H, Nq] f32: m, 1 / total, D (attention_backward_rows.wgsl)
//! include lib/online_softmax.wgsl
//! alias T
override CAUSAL: bool = false;
override HAS_KEY_MASK: bool = false;
override HAS_CONTEXT_OF: bool = false;

struct Params {
  batch: u32,
  contexts: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  head_size: u32,
  context_step: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<T>;
@group(0) @binding(2) var<storage, read> k: array<T>;
@group(0) @binding(3) var<storage, read> v: array<T>;
@group(0) @binding(4) var<storage, read> dout: array<T>;
@group(0) @binding(5) var<storage, read> key_choice: array<u32>;
@group(0) @binding(6) var<storage, read> statistics: array<f32>;

// Which keys and values an item reads.
fn context_index(item: u32) -> u32 {
  if (HAS_CONTEXT_OF) {
    return key_choice[item];
  }
  return item * params.context_step;
}

// The first of the items that may read a context, and the one past the last.
fn items_of(context: u32) -> vec2u {
  if (!HAS_CONTEXT_OF && params.context_step == 1u) {
    return vec2u(context, context + 1u);
  }
  return vec2u(0u, params.batch);
}

// Whether the key mask keeps an item from a key.
fn masked_key(item: u32, key: u32) -> bool {
  if (HAS_KEY_MASK) {
    return key_choice[item * params.keys + key] == 0u;
  }
  return false;
}

// First channel of a query's head, in q and what has its shape.
fn query_base(item: u32, query: u32, head: u32) -> u32 {
  return ((item * params.queries + query) * params.heads + head) * params.head_size;
}

// First channel of a key's head, in k and what has its shape.
fn key_base(context: u32, key: u32, head: u32) -> u32 {
  return ((context * params.keys + key) * params.heads + head) * params.head_size;
}

// Place of a row of scores in a plane of statistics.
fn row_index(item: u32, query: u32, head: u32) -> u32 {
  return (item * params.heads + head) * params.queries + query;
}

// Size of a plane of statistics.
fn plane_size() -> u32 {
  return params.batch * params.heads * params.queries;
}
