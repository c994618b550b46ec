// What the kernels of attention share: params, bindings, and which keys a query attends to.
//
// q, out [B, Nq, H * D], k, v [B, Nk, H * D] storage type T
// key_mask [B, Nk] 1 = attend; a row with no key left attends uniformly to all Nk
// statistics [2, B, H, Nq] f32 (lib/attention_statistics.wgsl)
//! include lib/online_softmax.wgsl
//! include lib/attention_statistics.wgsl
//! alias T
override CAUSAL: bool = false;
override HAS_KEY_MASK: bool = false;

struct Params {
  batch: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  head_size: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<T>;
@group(0) @binding(2) var<storage, read> k: array<T>;
@group(0) @binding(3) var<storage, read> v: array<T>;
@group(0) @binding(4) var<storage, read> key_mask: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<T>;
@group(0) @binding(6) var<storage, read_write> statistics: array<f32>;

// Which of four queries do not attend to a key.
fn hidden_from(batch: u32, key: u32, queries: vec4u) -> vec4<bool> {
  var hidden = vec4<bool>();
  if (CAUSAL) {
    hidden = vec4u(key) > queries;
  }
  if (HAS_KEY_MASK) {
    hidden = hidden | vec4<bool>(key_mask[batch * params.keys + key] == 0u);
  }
  return hidden;
}
