// layer norm backward, gradients of the parameters, 1 of 2: sums over chunks of rows
//   dbias part[k, c] = sum of dy[r, c], dweight part[k, c] = sum of dy[r, c] * h[r, c] over the rows r of chunk k
//   h = (x - mean_r) * inverse deviation_r
//
// x, dy      [R, C] storage type T
// statistics [R, 2] f32: mean, inverse deviation
// sums       [K, 2, C] f32: dbias parts, dweight parts
// One invocation a column (channel) of a chunk: the second opinion for layer_norm_backward_partial.wgsl, and for any C.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  rows: u32,
  chunk: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.count) {
    return;
  }
  let column = index % params.columns;
  let slot = index / params.columns;
  let start = slot * params.chunk;
  let end = min(start + params.chunk, params.rows);
  var dbias = 0.0;
  var dweight = 0.0;
  for (var row = start; row < end; row++) {
    let at = row * params.columns + column;
    let g = f32(dy[at]);
    dbias += g;
    dweight += g * (f32(x[at]) - statistics[row].x) * statistics[row].y;
  }
  sums[2u * slot * params.columns + column] = dbias;
  sums[(2u * slot + 1u) * params.columns + column] = dweight;
}
