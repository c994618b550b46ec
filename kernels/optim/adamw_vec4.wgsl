// AdamW: one step of four adjacent weights at a time (lib/adamw.wgsl); nothing where the gradient factor is 0
//
// gradient             [4 * count] f32
// learning_rate        [1] f32, state [8] f32 (lib/optimizer_state.wgsl)
// weight, mean, square [4 * count] f32: master weights, first and second moments
// stored               [4 * count] storage type W: the weights that the model reads, where HAS_STORED
// Each invocation strides over the quads of weights.
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
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> learning_rate: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> mean: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> square: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> stored: array<W4>;

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
    let next = adamw(Moments(weight[i], mean[i], square[i]), gradient[i]);
    weight[i] = next.weight;
    mean[i] = next.mean;
    square[i] = next.square;
    if (HAS_STORED) {
      stored[i] = W4(next.weight);
    }
  }
}
