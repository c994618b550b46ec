// difference loss backward: dprediction[b, i] = dloss * factor * weights[b] * 2 d, or sign(d) where ABSOLUTE
// d = prediction - target; factor is 1 / (B * item_size). Without HAS_WEIGHTS all weights are 1.
//
// prediction, dprediction [B, item_size] storage type T, targets the same of storage type W
// weights [B] f32, dloss [1] f32
// Each invocation strides over the elements; arithmetic in f32.
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override ABSOLUTE: bool = false;
override HAS_WEIGHTS: bool = false;

struct Params {
  count: u32,
  item_size: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> prediction: array<T>;
@group(0) @binding(2) var<storage, read> targets: array<W>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> dprediction: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    var factor = dloss[0] * params.factor;
    if (HAS_WEIGHTS) {
      factor *= weights[i / params.item_size];
    }
    let d = f32(prediction[i]) - f32(targets[i]);
    dprediction[i] = T(factor * select(2.0 * d, sign(d), ABSOLUTE));
  }
}
