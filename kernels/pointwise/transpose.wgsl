// transpose: y[b, c, r] = x[b, r, c]
//
// x [B, rows, columns], y [B, columns, rows] storage type T
// One invocation an element of y; reads are strided: for inputs and outputs of a model, not for its inside.
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
  let i = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (i < params.count) {
    let r = i % params.rows;
    let c = i / params.rows % params.columns;
    let b = i / (params.rows * params.columns);
    y[i] = x[(b * params.rows + r) * params.columns + c];
  }
}
