// Gradient of a probability, dP[i, j] = dout[i] . v[j], for kernels with the bindings dout and v and the param head_size.
fn weight_gradient(q_base: u32, k_base: u32) -> f32 {
  var dot = 0.0;
  for (var c = 0u; c < params.head_size; c++) {
    dot += f32(dout[q_base + c]) * f32(v[k_base + c]);
  }
  return dot;
}
