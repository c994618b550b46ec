// embedding: y[n, c] = table[ids[n] - first, c] for the ids that these rows of the table hold
// Other ids get NaN where FIRST_CHUNK, and keep what an earlier dispatch wrote otherwise: after the chunks of a table
// in order, every id of the table has its row and an id out of range is NaN.
//
// ids   [N]
// table [rows, C] storage type W: rows first to first + rows of the vocabulary
// y     [N, C] storage type T
// Each invocation strides over the elements of y.
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override FIRST_CHUNK: bool = true;

struct Params {
  count: u32,
  channels: u32,
  first: u32,
  rows: u32,
  missing: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<W>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    // Ids below `first` wrap around and are not less than `rows` either.
    let row = ids[i / params.channels] - params.first;
    if (row < params.rows) {
      y[i] = T(f32(table[row * params.channels + i % params.channels]));
    } else if (FIRST_CHUNK) {
      y[i] = T(params.missing);
    }
  }
}
