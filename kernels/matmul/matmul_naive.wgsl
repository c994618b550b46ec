// matmul: c[i, m, n] = activation(scale * sum_k a[i, m, k] * b[i, k, n] + bias[n]) + residual[i, m, n]
// TRANSPOSE_B: b[i, n, k] instead. GATED: b has 2N columns and c = value * gelu(gate), value from the first N columns
// and their bias, gate from the last N (diffusers' GEGLU).
//
// a        [B, M, K], residual, c [B, M, N] storage type T
// b        [B, K, N] or [B, N, K], or shared by the batch (b_stride 0), or [K, 2N] where GATED; bias [N] or [2N];
//          storage type W
// One invocation an element of c, sum in f32 in the order of k: the second opinion for the fast kernels.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override TRANSPOSE_B: bool = false;
override GATED: bool = false;
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

// scale * the product of one row of a and one column of b, plus the column's bias.
fn product(a_row: u32, b_start: u32, column: u32) -> f32 {
  let columns = params.N * select(1u, 2u, GATED);
  var sum = 0.0;
  for (var k = 0u; k < params.K; k++) {
    let at = select(k * columns + column, column * params.K + k, TRANSPOSE_B);
    sum = fma(f32(a[a_row + k]), f32(b[b_start + at]), sum);
  }
  sum *= params.scale;
  if (HAS_BIAS) {
    sum += f32(bias[column]);
  }
  return sum;
}

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
  let b_start = row / params.M * params.b_stride;
  var result = activate(product(row * params.K, b_start, n), ACTIVATION);
  if (GATED) {
    result *= gelu(product(row * params.K, b_start, params.N + n));
  }
  if (HAS_RESIDUAL) {
    result += f32(residual[index]);
  }
  c[index] = T(result);
}
