// unary: y[i] = factor * x[i], or x[i] * sigmoid(x[i]) where SILU
//
// x [count] storage type T, y [count] storage type W: with factor 1 a change of type
// Each invocation strides over the elements; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SILU: bool = false;

struct Params {
  count: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let value = f32(x[i]);
    y[i] = W(select(params.factor * value, silu(value), SILU));
  }
}
