// One AdamW update (Loshchilov and Hutter 2019; torch.optim.AdamW) of four weights.
// The kernel that includes this declares `params`, `state` and `learning_rate`.
//! include lib/optimizer_state.wgsl

struct Moments {
  weight: vec4<f32>,
  mean: vec4<f32>,
  square: vec4<f32>,
}

fn adamw(old: Moments, gradient: vec4<f32>) -> Moments {
  let g = gradient * state[GRADIENT_FACTOR];
  let mean = old.mean + params.one_minus_beta1 * (g - old.mean);
  let square = old.square + params.one_minus_beta2 * (g * g - old.square);
  let decayed = old.weight * (1.0 - learning_rate[0] * params.weight_decay);
  let deviation = sqrt(square) * inverseSqrt(state[CORRECTION_2]) + params.eps;
  return Moments(decayed - learning_rate[0] / state[CORRECTION_1] * mean / deviation, mean, square);
}
