// silu backward: dx[i] = dy[i] * s * (1 + x[i] * (1 - s)), s = sigmoid(x[i])
//
// x, dy, dx [4 * count] storage type T
// Each invocation strides over quads of elements; arithmetic in f32.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read> dy: array<T4>;
@group(0) @binding(3) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let value = vec4<f32>(x[i]);
    let s = 1.0 / (1.0 + exp(min(-value, vec4(80.0)))); // the bound keeps exp finite
    dx[i] = T4(vec4<f32>(dy[i]) * s * (1.0 + value * (1.0 - s)));
  }
}
