// binary: y[i] = a[i] + b[i], or a[i] * b[i] where MULTIPLY
//
// a, b, y [4 * count] storage type T
// Each invocation strides over quads of elements; arithmetic in f32.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override MULTIPLY: bool = false;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<T4>;
@group(0) @binding(2) var<storage, read> b: array<T4>;
@group(0) @binding(3) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let left = vec4<f32>(a[i]);
    let right = vec4<f32>(b[i]);
    y[i] = T4(select(left + right, left * right, MULTIPLY));
  }
}
