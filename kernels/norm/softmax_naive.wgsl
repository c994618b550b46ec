// softmax: y[r, n] = exp(x[r, n] - max_r) / sum_n exp(x[r, n] - max_r)
//
// x, y [R, N] storage type T
// One invocation a row, sum in f32: the second opinion for the other softmax kernels.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

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
  var greatest = -3.0e38;
  for (var n = 0u; n < params.columns; n++) {
    greatest = max(greatest, f32(x[base + n]));
  }
  var sum = 0.0;
  for (var n = 0u; n < params.columns; n++) {
    sum += exp(f32(x[base + n]) - greatest);
  }
  for (var n = 0u; n < params.columns; n++) {
    y[base + n] = T(exp(f32(x[base + n]) - greatest) / sum);
  }
}
