// softmax: y[r, n] = exp(x[r, n] - max_r) / sum_n exp(x[r, n] - max_r)
//
// x, y [R, N] storage type T
// One workgroup a row at a time; each invocation strides over the columns. Accumulators f32; workgroup memory
// 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/reduce.wgsl
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
  let N = params.columns;
  let step = workgroup_count(workgroups);
  for (var row = flat_workgroup(workgroup, workgroups); row < params.rows; row += step) {
    let base = row * N;
    var greatest = -3.0e38;
    for (var n = local; n < N; n += WORKGROUP) {
      greatest = max(greatest, f32(x[base + n]));
    }
    let row_max = workgroup_max(greatest, local);
    var sum = 0.0;
    for (var n = local; n < N; n += WORKGROUP) {
      sum += exp(f32(x[base + n]) - row_max);
    }
    let scale = 1.0 / workgroup_sum(sum, local);
    for (var n = local; n < N; n += WORKGROUP) {
      y[base + n] = T(exp(f32(x[base + n]) - row_max) * scale);
    }
  }
}
