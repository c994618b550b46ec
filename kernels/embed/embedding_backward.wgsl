// embedding backward, 2 of 2: dtable[ids[n] - first, c] = sum of dy[m, c] over the positions m with the id of n
//
// ids    [N]
// links  [N, 2]: next position with the same id, or N; whether n is the first with its id
// dy     [N, C] storage type T
// dtable [rows, C] f32: rows first to first + rows of the vocabulary, zeros before: rows without an id are not written
// Each invocation strides over the elements of dy and adds up the ids' lists from their first positions, in order.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  positions: u32,
  channels: u32,
  first: u32,
  rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> links: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> dy: array<T>;
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let n = i / params.channels;
    let c = i % params.channels;
    // Ids below `first` wrap around and are not less than `rows` either.
    let row = ids[n] - params.first;
    if (row < params.rows && links[n].y == 1u) {
      var sum = 0.0;
      for (var m = n; m < params.positions; m = links[m].x) {
        sum += f32(dy[m * params.channels + c]);
      }
      dtable[row * params.channels + c] = sum;
    }
  }
}
