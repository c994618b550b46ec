// sum rows: y[b, k, c] = sum of x[b, r, first + c] over the rows r of chunk k
//
// x [B, R, stride] storage type T
// y [B, K, C] f32, of chunks of `chunk` rows (the last may be shorter); count = B * K * C
// One invocation an element of y, in the order of the rows: the same inputs give the same bits.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  rows: u32,
  stride: u32,
  chunk: u32,
  chunks: u32,
  columns: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
  let slot = index / params.columns;
  let start = slot % params.chunks * params.chunk;
  let end = min(start + params.chunk, params.rows);
  let column = slot / params.chunks * params.rows * params.stride + params.first + index % params.columns;
  var sum = 0.0;
  for (var row = start; row < end; row++) {
    sum += f32(x[column + row * params.stride]);
  }
  y[index] = sum;
}
