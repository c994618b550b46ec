// EMA: average[i] -= one_minus_decay * (average[i] - weight[i])
//
// weight, average [count] f32; one_minus_decay [1] f32
// Each invocation strides over the elements.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> one_minus_decay: array<f32>;
@group(0) @binding(3) var<storage, read_write> average: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    average[i] -= one_minus_decay[0] * (average[i] - weight[i]);
  }
}
