// softmax backward: dx[r, n] = y[r, n] * (dy[r, n] - sum_m dy[r, m] * y[r, m])
//
// y, dy, dx [R, N] storage type T
// One invocation a row, sum in f32: the second opinion for the other softmax backward kernels.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (row >= params.rows) {
    return;
  }
  let base = row * params.columns;
  var sum = 0.0;
  for (var n = 0u; n < params.columns; n++) {
    sum += f32(dy[base + n]) * f32(y[base + n]);
  }
  for (var n = 0u; n < params.columns; n++) {
    dx[base + n] = T(f32(y[base + n]) * (f32(dy[base + n]) - sum));
  }
}
