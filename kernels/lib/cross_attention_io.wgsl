// What the kernels of cross attention share: params and bindings.
//
// q, out [B, Nq, H * D], k, v [P, Nk, H * D] storage type T
// context_of [B]: the context p of an item; without it p = b * context_step
// weights [P, S, Nk], captured [B, S, Nq] f32; CAPTURE 0: none, 1: by weights, 2: all of P, S = Nk, no weights
// statistics [2, B, H, Nq] f32 (lib/attention_statistics.wgsl)
//! include lib/online_softmax.wgsl
//! include lib/attention_statistics.wgsl
//! alias T
override HAS_CONTEXT_OF: bool = false;
override CAPTURE: u32 = 0;

struct Params {
  batch: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  head_size: u32,
  sets: u32,
  context_step: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<T>;
@group(0) @binding(2) var<storage, read> k: array<T>;
@group(0) @binding(3) var<storage, read> v: array<T>;
@group(0) @binding(4) var<storage, read> context_of: array<u32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<T>;
@group(0) @binding(7) var<storage, read_write> captured: array<f32>;
@group(0) @binding(8) var<storage, read_write> statistics: array<f32>;
