// GEGLU: y[m, n] = (x W_a + b_a)[m, n] * gelu((x W_g + b_g)[m, n]), [W_a | W_g] = weight (diffusers' GEGLU)
//
// x        [M, K], y [M, N] storage type T
// weight   [K, 2N], bias [2N] storage type W
// One invocation an element of y, sums in f32 in the order of k: the second opinion for the fast kernels.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override HAS_BIAS: bool = false;

struct Params {
  M: u32,
  N: u32,
  K: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> weight: array<W>;
@group(0) @binding(3) var<storage, read> bias: array<W>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let N = params.N;
  if (index >= params.M * N) {
    return;
  }
  let n = index % N;
  let x_row = index / N * params.K;
  var value = 0.0;
  var gate = 0.0;
  for (var k = 0u; k < params.K; k++) {
    let xk = f32(x[x_row + k]);
    value = fma(xk, f32(weight[2u * k * N + n]), value);
    gate = fma(xk, f32(weight[2u * k * N + N + n]), gate);
  }
  if (HAS_BIAS) {
    value += f32(bias[n]);
    gate += f32(bias[N + n]);
  }
  y[index] = T(value * gelu(gate));
}
