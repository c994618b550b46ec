// Derivatives of the activations of lib/activations.wgsl. The bounds keep exp and the products finite.
//! include lib/activations.wgsl
//! include lib/silu_slope.wgsl

// Phi(x) + x * phi(x), phi being the density of the normal distribution.
fn gelu_slope(x: f32) -> f32 {
  return 0.5 * (1.0 + erf(x * 0.70710678)) + 0.3989422804 * x * exp(-0.5 * min(x * x, 160.0));
}

fn gelu_slope4(x: vec4<f32>) -> vec4<f32> {
  return vec4(gelu_slope(x.x), gelu_slope(x.y), gelu_slope(x.z), gelu_slope(x.w));
}

// Past 20 the slope is 0 or 1.
fn gelu_tanh_slope(x: f32) -> f32 {
  let a = clamp(x, -20.0, 20.0);
  let t = tanh(clamp(0.7978845608 * (a + 0.044715 * a * a * a), -15.0, 15.0));
  return 0.5 * (1.0 + t) + 0.5 * a * (1.0 - t * t) * 0.7978845608 * (1.0 + 0.134145 * a * a);
}

fn quick_gelu_slope(x: f32) -> f32 {
  let s = sigmoid(1.702 * x);
  return s * (1.0 + 1.702 * x * (1.0 - s));
}

fn activation_slope(x: f32, activation: u32) -> f32 {
  switch activation {
    case ACTIVATION_GELU: { return gelu_slope(x); }
    case ACTIVATION_GELU_TANH: { return gelu_tanh_slope(x); }
    case ACTIVATION_QUICK_GELU: { return quick_gelu_slope(x); }
    case ACTIVATION_SILU: { return silu_slope(x); }
    case ACTIVATION_RELU: { return select(0.0, 1.0, x > 0.0); }
    default: { return 1.0; }
  }
}
