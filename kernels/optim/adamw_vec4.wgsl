// AdamW: one step of four adjacent weights at a time (lib/adamw.wgsl), none where the gradient factor is 0,
// and of the weights' moving average: average[i] -= (1 - decay) * (average[i] - weight[i])
//
// gradient             [4 * count] f32
// rates                [2] f32 (lib/adamw.wgsl), state [8] f32 (lib/optimizer_state.wgsl)
// weight, mean, square [4 * count] f32: master weights, first and second moments
// stored               [4 * count] storage type W: the weights that the model reads, where HAS_STORED
// average              [4 * count] f32, where HAS_AVERAGE
// Each invocation strides over the quads of weights.
//! include lib/fold.wgsl
//! include lib/adamw.wgsl
//! alias W
override WORKGROUP: u32 = 64;
override HAS_STORED: bool = false;
override HAS_AVERAGE: bool = false;

struct Params {
  count: u32,
  one_minus_beta1: f32,
  one_minus_beta2: f32,
  eps: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> rates: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> mean: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> square: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> stored: array<W4>;
@group(0) @binding(8) var<storage, read_write> average: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let taken = state[GRADIENT_FACTOR] != 0.0;
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    var next = Moments(weight[i], mean[i], square[i]);
    if (taken) {
      next = adamw(next, gradient[i]);
      weight[i] = next.weight;
      mean[i] = next.mean;
      square[i] = next.square;
      if (HAS_STORED) {
        stored[i] = W4(next.weight);
      }
    }
    if (HAS_AVERAGE) {
      average[i] -= rates[ONE_MINUS_DECAY] * (average[i] - next.weight);
    }
  }
}
