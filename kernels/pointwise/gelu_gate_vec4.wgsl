// gelu gate: y[r, n] = x[r, n] * gelu(x[r, N + n])
//
// x [rows, 2N], y [rows, N] storage type T; count and params.N in quads: N is a multiple of 4
// Each invocation strides over quads of elements of y; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  N: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let at = i / params.N * params.N + i;
    y[i] = T4(vec4<f32>(x[at]) * gelu4(vec4<f32>(x[at + params.N])));
  }
}
