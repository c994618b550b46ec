// softmax backward: dx[r, n] = y[r, n] * (dy[r, n] - sum_m dy[r, m] * y[r, m])
//
// y, dy, dx [R, N] storage type T
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
@group(0) @binding(1) var<storage, read> y: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read_write> dx: array<T>;

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
    var partial = 0.0;
    for (var n = local; n < N; n += WORKGROUP) {
      partial += f32(dy[base + n]) * f32(y[base + n]);
    }
    let sum = workgroup_sum(partial, local);
    for (var n = local; n < N; n += WORKGROUP) {
      dx[base + n] = T(f32(y[base + n]) * (f32(dy[base + n]) - sum));
    }
  }
}
