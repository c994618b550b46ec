// activation backward: dx[i] = dy[i] * activation'(x[i])
//
// x, dy, dx [count] storage type T
// Each invocation strides over the elements; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/activation_slopes.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override ACTIVATION: u32 = 0;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    dx[i] = T(f32(dy[i]) * activation_slope(f32(x[i]), ACTIVATION));
  }
}
