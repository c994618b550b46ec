// Activations that close a linear layer or a convolution: the epilogue after the bias, before the residual.

const ACTIVATION_NONE = 0u;
const ACTIVATION_GELU = 1u;
const ACTIVATION_GELU_TANH = 2u;
const ACTIVATION_QUICK_GELU = 3u;
const ACTIVATION_SILU = 4u;
const ACTIVATION_RELU = 5u;

// Error function, absolute error below 2e-7: x * P(x^2) for |x| < 1, else 1 - exp(-x^2) * R(1 / (1 + |x| / 2)).
// P and R interpolate at Chebyshev nodes over [0, 1] and |x| in [1, 6]; both errors are about 1e-8.
fn erf(x: f32) -> f32 {
  let s = x * x;
  let P = 1.12837917 + s * (-0.37612626 + s * (0.112835944 + s * (-0.0268542115 + s * (0.00518908724 + s * (-0.00080168643 + s * 7.87587487e-5)))));
  let a = min(abs(x), 6.0);
  let t = 1.0 / (1.0 + 0.5 * a);
  let R = 0.000211725312 + t * (0.278735721 + t * (0.303577168 + t * (0.17766748 + t * (0.285028856 + t * (0.0399220587 - t * 0.0863024148)))));
  return select(sign(x) * (1.0 - exp(-a * a) * R), x * P, a < 1.0);
}

// The clamp keeps exp finite; 1 / (1 + exp(80)) is 0 for every purpose.
fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

// x * Phi(x) (torch.nn.GELU()).
fn gelu(x: f32) -> f32 {
  return 0.5 * x * (1.0 + erf(x * 0.70710678));
}

fn gelu4(x: vec4<f32>) -> vec4<f32> {
  return vec4(gelu(x.x), gelu(x.y), gelu(x.z), gelu(x.w));
}

// torch.nn.GELU(approximate="tanh"). tanh is 1 from 9 on; some drivers give NaN for large arguments.
fn gelu_tanh(x: f32) -> f32 {
  let inner = 0.7978845608 * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1.0 + tanh(clamp(inner, -15.0, 15.0)));
}

// x * sigmoid(1.702 x), the GELU of CLIP.
fn quick_gelu(x: f32) -> f32 {
  return x * sigmoid(1.702 * x);
}

fn silu(x: f32) -> f32 {
  return x * sigmoid(x);
}

fn relu(x: f32) -> f32 {
  return max(x, 0.0);
}

fn activate(x: f32, activation: u32) -> f32 {
  switch activation {
    case ACTIVATION_GELU: { return gelu(x); }
    case ACTIVATION_GELU_TANH: { return gelu_tanh(x); }
    case ACTIVATION_QUICK_GELU: { return quick_gelu(x); }
    case ACTIVATION_SILU: { return silu(x); }
    case ACTIVATION_RELU: { return relu(x); }
    default: { return x; }
  }
}
