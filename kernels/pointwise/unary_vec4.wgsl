// unary: y[i] = factor * x[i], or x[i] * sigmoid(x[i]) where SILU
//
// x [4 * count] storage type T, y [4 * count] storage type W: with factor 1 a change of type
// Each invocation strides over quads of elements; arithmetic in f32.
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SILU: bool = false;

struct Params {
  count: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<W4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let value = vec4<f32>(x[i]);
    if (SILU) {
      y[i] = W4(value / (1.0 + exp(min(-value, vec4(80.0))))); // the bound keeps exp finite
    } else {
      y[i] = W4(params.factor * value);
    }
  }
}
