// matmul: c[i, m, n] = activation(scale * sum_k a[i, m, k] * b[i, k, n] + bias[n]) + residual[i, m, n]
// (b[i, n, k] where TRANSPOSE_B)
//
// a        [B, M, K], residual, c [B, M, N] storage type T
// b        [B, K, N] or [B, N, K], or shared by the batch (b_stride 0); bias [N]; storage type W
// One invocation an element of c, sum in f32 in the order of k: the second opinion for the fast kernels.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override TRANSPOSE_B: bool = false;
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
override ACTIVATION: u32 = 0;

struct Params {
  batches: u32,
  M: u32,
  N: u32,
  K: u32,
  b_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<W>;
@group(0) @binding(3) var<storage, read> bias: array<W>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> c: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.batches * params.M * params.N) {
    return;
  }
  let n = index % params.N;
  let row = index / params.N;
  let a_row = row * params.K;
  let b_start = row / params.M * params.b_stride + select(n, n * params.K, TRANSPOSE_B);
  let b_step = select(params.N, 1u, TRANSPOSE_B);
  var sum = 0.0;
  for (var k = 0u; k < params.K; k++) {
    sum = fma(f32(a[a_row + k]), f32(b[b_start + k * b_step]), sum);
  }
  sum *= params.scale;
  if (HAS_BIAS) {
    sum += f32(bias[n]);
  }
  sum = activate(sum, ACTIVATION);
  if (HAS_RESIDUAL) {
    sum += f32(residual[index]);
  }
  c[index] = T(sum);
}
