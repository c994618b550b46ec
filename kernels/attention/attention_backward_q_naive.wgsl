// attention backward, queries: dq[b, i, h] = scale * sum_j dS[i, j] k[p, j, h] (lib/attention_gradient.wgsl says dS,
// bindings and shapes); dq [B, Nq, H * d] storage type T
//
// One invocation a (query, head); sums f32. The head size is a prelude constant for the array of sums, CHANNELS; loops run
// to params.head_size, the same number, so that no compiler unrolls them.
//! include lib/fold.wgsl
//! include lib/attention_gradient.wgsl
//! include lib/attention_score.wgsl
//! const CHANNELS
override WORKGROUP: u32 = 64;

@group(0) @binding(7) var<storage, read_write> dq: array<T>;

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
  let largest = statistics[row];
  let normal = statistics[plane_size() + row];
  let mean = statistics[2u * plane_size() + row];
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
