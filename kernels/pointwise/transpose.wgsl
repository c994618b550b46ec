// transpose: y[b, c, r] = x[b, r, c]
//
// x [B, rows, columns], y [B, columns, rows] storage type T
// Each invocation strides over the elements of y; reads are scattered: for inputs and outputs of a model, not its inside.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
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
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let r = i % params.rows;
    let c = i / params.rows % params.columns;
    let b = i / (params.rows * params.columns);
    y[i] = x[(b * params.rows + r) * params.columns + c];
  }
}
