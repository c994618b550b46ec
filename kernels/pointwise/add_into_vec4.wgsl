// add into: sum[i] += x[i], in place
//
// sum, x [4 * count] storage type T; arithmetic in f32. Each invocation strides over quads of elements.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read_write> sum: array<T4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    sum[i] = T4(vec4<f32>(sum[i]) + vec4<f32>(x[i]));
  }
}
