// cross attention with capture: P[b, h, i, j] = softmax_j(scale * q[b, i, h] . k[p, j, h]), p = context_of[b]
//   out[b, i, h] = sum_j P[b, h, i, j] v[p, j, h]
//   captured[b, s, i] = sum_h sum_j weights[p, s, j] P[b, h, i, j] / H
// Shapes: lib/cross_attention_io.wgsl
// One invocation a query goes through all heads: the maximum and the total of each row, then the values, then the
// capture. The second opinion for the other kernels of cross attention. Scores and sums f32. Head size D and number of
// heads H are prelude constants for arrays; loops run to the params of the same value, so that no compiler unrolls them.
//! include lib/fold.wgsl
//! include lib/cross_attention_io.wgsl
//! const D
//! const H
override WORKGROUP: u32 = 64;

// Unscaled.
fn score(q_base: u32, k_base: u32) -> f32 {
  var dot = 0.0;
  for (var c = 0u; c < params.head_size; c++) {
    dot += f32(q[q_base + c]) * f32(k[k_base + c]);
  }
  return dot;
}

fn relative_weight(score: f32, largest: f32) -> f32 {
  return exp(params.scale * (score - largest));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let query = index % params.queries;
  let batch = index / params.queries;
  if (batch >= params.batch) {
    return;
  }
  var context = batch * params.context_step;
  if (HAS_CONTEXT_OF) {
    context = context_of[batch];
  }
  let stride = params.heads * D;
  let q_row = index * stride;
  let k_rows = context * params.keys * stride;

  var largest: array<f32, H>;
  var total: array<f32, H>;
  for (var head = 0u; head < params.heads; head++) {
    largest[head] = MASKED;
    for (var key = 0u; key < params.keys; key++) {
      largest[head] = max(largest[head], score(q_row + head * D, k_rows + key * stride + head * D));
    }
    for (var key = 0u; key < params.keys; key++) {
      total[head] += relative_weight(score(q_row + head * D, k_rows + key * stride + head * D), largest[head]);
    }
    if (SAVE_STATISTICS) {
      save_row(batch, head, query, largest[head], 1.0 / total[head]);
    }
  }

  for (var head = 0u; head < params.heads; head++) {
    // Explicit zeros: Tint clears a variable of a loop's body only once.
    var sums = array<f32, D>();
    for (var key = 0u; key < params.keys; key++) {
      let k_base = k_rows + key * stride + head * D;
      let p = relative_weight(score(q_row + head * D, k_base), largest[head]) / total[head];
      for (var c = 0u; c < params.head_size; c++) {
        sums[c] += p * f32(v[k_base + c]);
      }
    }
    for (var c = 0u; c < params.head_size; c++) {
      out[q_row + head * D + c] = T(sums[c]);
    }
  }

  if (CAPTURE == 0u) {
    return;
  }
  for (var s = 0u; s < params.sets; s++) {
    captured[(batch * params.sets + s) * params.queries + query] = 0.0;
  }
  for (var key = 0u; key < params.keys; key++) {
    var mean = 0.0;
    for (var head = 0u; head < params.heads; head++) {
      mean += relative_weight(score(q_row + head * D, k_rows + key * stride + head * D), largest[head]) / total[head];
    }
    mean /= f32(params.heads);
    if (CAPTURE == 2u) {
      captured[(batch * params.keys + key) * params.queries + query] = mean;
      continue;
    }
    for (var s = 0u; s < params.sets; s++) {
      captured[(batch * params.sets + s) * params.queries + query] += weights[(context * params.sets + s) * params.keys + key] * mean;
    }
  }
}
