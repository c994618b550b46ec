// attention backward, values: dv[p, j, h] = sum over the items b of context p, sum_i P[i, j] dout[b, i, h], P rebuilt from
// the statistics of attention_backward_rows_naive.wgsl
//
// q, dout [B, Nq, H * d], k, dv [P, Nk, H * d] storage type T
// key_mask [B, Nk] 1 = attend; a row with no key left attends uniformly to all Nk
// context_of [B]; without it p = b * context_step
// statistics [3, B, H, Nq] f32
// One invocation a (key, head); items and queries in ascending order, sums f32. The head size is a prelude constant for
// the array of sums, CHANNELS; loops run to params.head_size, the same number, so that no compiler unrolls them.
//! include lib/fold.wgsl
//! include lib/online_softmax.wgsl
//! include lib/attention_score.wgsl
//! alias T
//! const CHANNELS
override WORKGROUP: u32 = 64;
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
@group(0) @binding(3) var<storage, read> dout: array<T>;
@group(0) @binding(4) var<storage, read> key_mask: array<u32>;
@group(0) @binding(5) var<storage, read> context_of: array<u32>;
@group(0) @binding(6) var<storage, read> statistics: array<f32>;
@group(0) @binding(7) var<storage, read_write> dv: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let head = index % params.heads;
  let key = index / params.heads % params.keys;
  let context = index / params.heads / params.keys;
  if (context >= params.contexts) {
    return;
  }
  let k_base = key_base(context, key, head);
  let plane = params.batch * params.heads * params.queries;
  var sums: array<f32, CHANNELS>;
  let items = items_of(context);
  for (var item = items.x; item < items.y; item++) {
    if (context_index(item) != context) {
      continue;
    }
    for (var query = 0u; query < params.queries; query++) {
      let q_base = query_base(item, query, head);
      let row = row_index(item, query, head);
      let s = masked_score(hidden(item, query, key), q_base, k_base);
      let p = exp(params.scale * (s - statistics[row])) * statistics[plane + row];
      for (var c = 0u; c < params.head_size; c++) {
        sums[c] += p * f32(dout[q_base + c]);
      }
    }
  }
  for (var c = 0u; c < params.head_size; c++) {
    dv[k_base + c] = T(sums[c]);
  }
}
