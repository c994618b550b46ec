// gelu gate backward: dx[r, n] = dy[r, n] * gelu(g), dx[r, N + n] = dy[r, n] * x[r, n] * gelu'(g), g = x[r, N + n]
//
// x, dx [rows, 2N], dy [rows, N] storage type T; count and params.N in quads: N is a multiple of 4
// Each invocation strides over quads of elements of dy; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/activation_slopes.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  N: u32,
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
    let at = i / params.N * params.N + i;
    let gate = vec4<f32>(x[at + params.N]);
    let gradient = vec4<f32>(dy[i]);
    dx[at] = T4(gradient * gelu4(gate));
    dx[at + params.N] = T4(gradient * vec4<f32>(x[at]) * gelu_slope4(gate));
  }
}
