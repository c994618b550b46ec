// copy columns: y[r, to + n] = x[r, from + n] for n < columns
//
// x [R, x_stride], y [R, y_stride] storage type T
// One invocation a copied element: concatenation, slices and copies into a larger tensor.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  columns: u32,
  x_stride: u32,
  y_stride: u32,
  from_column: u32,
  to_column: u32,
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
  let i = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (i < params.rows * params.columns) {
    let r = i / params.columns;
    let n = i % params.columns;
    y[r * params.y_stride + params.to_column + n] = x[r * params.x_stride + params.from_column + n];
  }
}
