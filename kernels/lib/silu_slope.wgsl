// Derivative of SiLU: s * (1 + x * (1 - s)) with s = sigmoid(x). The bound keeps exp finite.

fn silu_slope(x: f32) -> f32 {
  let s = 1.0 / (1.0 + exp(min(-x, 80.0)));
  return s * (1.0 + x * (1.0 - s));
}

fn silu_slope4(x: vec4<f32>) -> vec4<f32> {
  let s = 1.0 / (1.0 + exp(min(-x, vec4(80.0))));
  return s * (1.0 + x * (1.0 - s));
}
