// attention backward, rows: what the gradients need to rebuild P[b, h, i, j] = exp(scale * (s[i, j] - m[i])) / total[i],
// where s = q[b, i, h] . k[p, j, h], and dS = P * (dP - D), where dP[i, j] = dout[b, i, h] . v[p, j, h]
//   statistics[0] = m = max_j s, statistics[1] = 1 / total = 1 / sum_j exp(scale * (s - m)), statistics[2] = D = sum_j P dP
//
// q, dout [B, Nq, H * d], k, v [P, Nk, H * d] storage type T
// key_mask [B, Nk] 1 = attend; a row with no key left attends uniformly to all Nk
// context_of [B]; without it p = b * context_step
// statistics [3, B, H, Nq] f32
// Maximum and total apart, not their log-sum-exp: beside the score of masked keys log(total) would be lost. D is summed
// from P and dP in f32, which is exacter than dout . out where out was stored as f16. One invocation a row.
//! include lib/fold.wgsl
//! include lib/online_softmax.wgsl
//! include lib/attention_score.wgsl
//! include lib/attention_weight_gradient.wgsl
//! alias T
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
@group(0) @binding(7) var<storage, read_write> statistics: array<f32>;

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
  var largest = MASKED;
  for (var key = 0u; key < params.keys; key++) {
    largest = max(largest, masked_score(hidden(item, query, key), q_base, key_base(context, key, head)));
  }
  var total = 0.0;
  var sum = 0.0;
  for (var key = 0u; key < params.keys; key++) {
    let k_base = key_base(context, key, head);
    let p = exp(params.scale * (masked_score(hidden(item, query, key), q_base, k_base) - largest));
    total += p;
    sum += p * weight_gradient(q_base, k_base);
  }
  let row = row_index(item, query, head);
  let plane = params.batch * params.heads * params.queries;
  statistics[row] = largest;
  statistics[plane + row] = 1.0 / total;
  statistics[2u * plane + row] = sum / total;
}
