// One AdamW update (Loshchilov and Hutter 2019; torch.optim.AdamW) of four weights.
// The kernel that includes this declares `params`, `state` and `rates`.
//! include lib/optimizer_state.wgsl

const LEARNING_RATE = 0u;
const ONE_MINUS_DECAY = 1u; // of the weights' moving average

struct Moments {
  weight: vec4<f32>,
  mean: vec4<f32>,
  square: vec4<f32>,
}

fn adamw(old: Moments, gradient: vec4<f32>) -> Moments {
  let g = gradient * state[GRADIENT_FACTOR];
  let mean = old.mean + params.one_minus_beta1 * (g - old.mean);
  let square = old.square + params.one_minus_beta2 * (g * g - old.square);
  let decayed = old.weight * (1.0 - rates[LEARNING_RATE] * params.weight_decay);
  let deviation = sqrt(square) * inverseSqrt(state[CORRECTION_2]) + params.eps;
  return Moments(decayed - rates[LEARNING_RATE] / state[CORRECTION_1] * mean / deviation, mean, square);
}
