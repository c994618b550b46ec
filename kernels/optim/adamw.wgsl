// AdamW: one step (lib/adamw.wgsl); nothing where the gradient factor is 0
//
// gradient             [count] f32
// learning_rate        [1] f32, state [8] f32 (lib/optimizer_state.wgsl)
// weight, mean, square [count] f32: master weights, first and second moments
// stored               [count] storage type W: the weights that the model reads, where HAS_STORED
// Each invocation strides over the weights.
//! include lib/fold.wgsl
//! include lib/adamw.wgsl
//! alias W
override WORKGROUP: u32 = 64;
override HAS_STORED: bool = false;

struct Params {
  count: u32,
  one_minus_beta1: f32,
  one_minus_beta2: f32,
  eps: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> learning_rate: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> square: array<f32>;
@group(0) @binding(7) var<storage, read_write> stored: array<W>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  if (state[GRADIENT_FACTOR] == 0.0) {
    return;
  }
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let next = adamw(Moments(vec4(weight[i]), vec4(mean[i]), vec4(square[i])), vec4(gradient[i]));
    weight[i] = next.weight.x;
    mean[i] = next.mean.x;
    square[i] = next.square.x;
    if (HAS_STORED) {
      stored[i] = W(next.weight.x);
    }
  }
}
