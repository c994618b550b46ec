// linear: y[m, n] = activation(sum_k x[m, k] * weight[k, n] + bias[n]) + residual[m, n]
//
// x        [M, K], residual, y [M, N] storage type T
// weight   [K, N], bias [N] storage type W
// One invocation an element of y, sum in f32 in the order of k: the second opinion for the fast kernels.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
override ACTIVATION: u32 = 0;

struct Params {
  M: u32,
  N: u32,
  K: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> weight: array<W>;
@group(0) @binding(3) var<storage, read> bias: array<W>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.M * params.N) {
    return;
  }
  let n = index % params.N;
  let x_row = index / params.N * params.K;
  var sum = 0.0;
  for (var k = 0u; k < params.K; k++) {
    sum = fma(f32(x[x_row + k]), f32(weight[k * params.N + n]), sum);
  }
  if (HAS_BIAS) {
    sum += f32(bias[n]);
  }
  sum = activate(sum, ACTIVATION);
  if (HAS_RESIDUAL) {
    sum += f32(residual[index]);
  }
  y[index] = T(sum);
}
