// attention backward, keys and values, sums over the items b of context p and their queries i (lib/attention_gradient.wgsl
// says P, dS, bindings and shapes); dk, dv [P, Nk, H * d] storage type T
//   dk[p, j, h] = scale * sum_b sum_i dS[i, j] q[b, i, h]
//   dv[p, j, h] = sum_b sum_i P[i, j] dout[b, i, h]
//
// One invocation a (key, head); items and queries in ascending order, sums f32. The head size is a prelude constant for
// the arrays of sums, CHANNELS; loops run to params.head_size, the same number, so that no compiler unrolls them.
//! include lib/fold.wgsl
//! include lib/attention_gradient.wgsl
//! include lib/attention_score.wgsl
//! const CHANNELS
override WORKGROUP: u32 = 64;

@group(0) @binding(7) var<storage, read_write> dk: array<T>;
@group(0) @binding(8) var<storage, read_write> dv: array<T>;

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
  var k_sums: array<f32, CHANNELS>;
  var v_sums: array<f32, CHANNELS>;
  let items = items_of(context);
  for (var item = items.x; item < items.y; item++) {
    if (context_index(item) != context) {
      continue;
    }
    for (var query = 0u; query < params.queries; query++) {
      let q_base = query_base(item, query, head);
      let row = row_index(item, query, head);
      let is_hidden = hidden(item, query, key);
      let s = select(score(q_base, k_base), MASKED, is_hidden);
      let p = exp(params.scale * (s - statistics[row])) * statistics[plane_size() + row];
      let ds = select(p * (weight_gradient(q_base, k_base) - statistics[2u * plane_size() + row]), 0.0, is_hidden);
      for (var c = 0u; c < params.head_size; c++) {
        k_sums[c] += ds * f32(q[q_base + c]);
        v_sums[c] += p * f32(dout[q_base + c]);
      }
    }
  }
  for (var c = 0u; c < params.head_size; c++) {
    dk[k_base + c] = T(params.scale * k_sums[c]);
    dv[k_base + c] = T(v_sums[c]);
  }
}
