// start step: what an optimiser step does, from the squared norm of the gradients of the scaled loss
//   norm            = sqrt(squares) / loss scale
//   gradient factor = min(1, max_norm / (norm + 1e-6)) / loss scale (torch.nn.utils.clip_grad_norm_), 0 unless finite
//   loss scale      *= growth after `interval` good steps, or *= backoff when the norm is not finite (torch's GradScaler)
// Corrections follow 1 - beta^t = (1 - beta^(t-1)) + beta^(t-1) (1 - beta), without a power's cancellation.
//
// squares [1] f32, state [8] f32 (lib/optimizer_state.wgsl)
// One invocation.
//! include lib/optimizer_state.wgsl
override CLIPS: bool = false;

struct Params {
  max_norm: f32,
  one_minus_beta1: f32,
  one_minus_beta2: f32,
  growth: f32,
  backoff: f32,
  interval: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;

// By bits: drivers fold tests for NaN away.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(1)
fn main() {
  let scale = state[LOSS_SCALE];
  let norm = sqrt(squares[0]) / scale;
  state[GRADIENT_NORM] = norm;
  if (!is_finite(squares[0])) {
    state[GRADIENT_FACTOR] = 0.0;
    state[SKIPPED_STEPS] += 1.0;
    state[GOOD_STEPS] = 0.0;
    state[LOSS_SCALE] = scale * params.backoff;
    return;
  }
  let clipping = select(1.0, min(1.0, params.max_norm / (norm + 1e-6)), CLIPS);
  state[GRADIENT_FACTOR] = clipping / scale;
  state[STEPS] += 1.0;
  state[CORRECTION_1] += (1.0 - state[CORRECTION_1]) * params.one_minus_beta1;
  state[CORRECTION_2] += (1.0 - state[CORRECTION_2]) * params.one_minus_beta2;
  state[GOOD_STEPS] += 1.0;
  if (state[GOOD_STEPS] >= params.interval) {
    state[GOOD_STEPS] = 0.0;
    state[LOSS_SCALE] = scale * params.growth;
  }
}
