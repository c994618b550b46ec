// copy columns: y[r, to + n] = x[r, from + n] for n < columns; count = R * columns
//
// x [R, x_stride], y [R, y_stride] storage type T
// Each invocation strides over the copied elements: concatenation, slices and copies into a larger tensor.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
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
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let r = i / params.columns;
    let n = i % params.columns;
    y[r * params.y_stride + params.to_column + n] = x[r * params.x_stride + params.from_column + n];
  }
}
