// attention backward, queries: dq[b, i, h] = scale * sum_j dS[i, j] k[p, j, h], dS = P * (dP - D), P and dP rebuilt from
// the statistics of attention_backward_rows_naive.wgsl
//
// q, dout, dq [B, Nq, H * d], k, v [P, Nk, H * d] storage type T
// key_mask [B, Nk] 1 = attend; a masked score is a constant: no gradient
// context_of [B]; without it p = b * context_step
// statistics [3, B, H, Nq] f32
// One invocation a (query, head); sums f32. The head size is a prelude constant for the array of sums, CHANNELS; loops run
// to params.head_size, the same number, so that no compiler unrolls them.
//! include lib/fold.wgsl
//! include lib/online_softmax.wgsl
//! include lib/attention_score.wgsl
//! include lib/attention_weight_gradient.wgsl
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
@group(0) @binding(3) var<storage, read> v: array<T>;
@group(0) @binding(4) var<storage, read> dout: array<T>;
@group(0) @binding(5) var<storage, read> key_mask: array<u32>;
@group(0) @binding(6) var<storage, read> context_of: array<u32>;
@group(0) @binding(7) var<storage, read> statistics: array<f32>;
@group(0) @binding(8) var<storage, read_write> dq: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let head = index % params.heads;
  let query = index / params.heads % params.queries;
  let item = index / params.heads / params.queries;
  if (item >= params.batch) {
    return;
  }
  let context = context_index(item);
  let q_base = query_base(item, query, head);
  let row = row_index(item, query, head);
  let plane = params.batch * params.heads * params.queries;
  let largest = statistics[row];
  let normal = statistics[plane + row];
  let mean = statistics[2u * plane + row];
  var sums: array<f32, CHANNELS>;
  for (var key = 0u; key < params.keys; key++) {
    if (hidden(item, query, key)) {
      continue;
    }
    let k_base = key_base(context, key, head);
    let p = exp(params.scale * (score(q_base, k_base) - largest)) * normal;
    let ds = p * (weight_gradient(q_base, k_base) - mean);
    for (var c = 0u; c < params.head_size; c++) {
      sums[c] += ds * f32(k[k_base + c]);
    }
  }
  for (var c = 0u; c < params.head_size; c++) {
    dq[q_base + c] = T(params.scale * sums[c]);
  }
}
