// Products of one query's head with one key's, for the gradients that one invocation a row computes
// (attention_gradient.wgsl).

fn hidden(item: u32, query: u32, key: u32) -> bool {
  return (CAUSAL && key > query) || masked_key(item, key);
}

// The unscaled score.
fn score(q_base: u32, k_base: u32) -> f32 {
  var dot = 0.0;
  for (var c = 0u; c < params.head_size; c++) {
    dot += f32(q[q_base + c]) * f32(k[k_base + c]);
  }
  return dot;
}

// Gradient of the probability, dP.
fn weight_gradient(q_base: u32, k_base: u32) -> f32 {
  var dot = 0.0;
  for (var c = 0u; c < params.head_size; c++) {
    dot += f32(dout[q_base + c]) * f32(v[k_base + c]);
  }
  return dot;
}
