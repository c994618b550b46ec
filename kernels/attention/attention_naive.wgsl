// attention: out[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, h] + mask) v[b, j, h]
// Shapes: lib/attention_io.wgsl
// One invocation a (query, head), two passes over the keys: first the maximum, then the weights. The second opinion
// for the other kernels of attention. Scores and sums f32. The head size D is a prelude constant for the array of sums;
// loops run to params.head_size, the same number, so that no compiler unrolls them.
//! include lib/fold.wgsl
//! include lib/attention_io.wgsl
//! const D
override WORKGROUP: u32 = 64;

// Unscaled.
fn score(batch: u32, query: u32, key: u32, head: u32) -> f32 {
  if (CAUSAL && key > query) {
    return MASKED;
  }
  if (HAS_KEY_MASK) {
    if (key_mask[batch * params.keys + key] == 0u) {
      return MASKED;
    }
  }
  let q_base = ((batch * params.queries + query) * params.heads + head) * D;
  let k_base = ((batch * params.keys + key) * params.heads + head) * D;
  var dot = 0.0;
  for (var c = 0u; c < params.head_size; c++) {
    dot += f32(q[q_base + c]) * f32(k[k_base + c]);
  }
  return dot;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let head = index % params.heads;
  let query = index / params.heads % params.queries;
  let batch = index / params.heads / params.queries;
  if (batch >= params.batch) {
    return;
  }
  var largest = MASKED;
  for (var key = 0u; key < params.keys; key++) {
    largest = max(largest, score(batch, query, key, head));
  }
  var total = 0.0;
  var sums: array<f32, D>;
  for (var key = 0u; key < params.keys; key++) {
    let p = exp(params.scale * (score(batch, query, key, head) - largest));
    total += p;
    let v_base = ((batch * params.keys + key) * params.heads + head) * D;
    for (var c = 0u; c < params.head_size; c++) {
      sums[c] += p * f32(v[v_base + c]);
    }
  }
  for (var c = 0u; c < params.head_size; c++) {
    out[index * D + c] = T(sums[c] / total);
  }
  if (SAVE_STATISTICS) {
    save_row(batch, head, query, largest, 1.0 / total);
  }
}
