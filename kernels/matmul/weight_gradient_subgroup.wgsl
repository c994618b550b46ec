// weight gradient: x transposed times dy (lib/weight_gradient_io.wgsl says formula, bindings and shapes), with the
// values of x shared between lanes.
//
// COLUMNS (2, 4 or 8) invocations compute ROWS channels by 4 * COLUMNS columns, four columns each; a workgroup holds
// several such groups where N is small. The lanes of a group load the channels of one m each and spread them by
// subgroupShuffle: no value of x is loaded twice, no workgroup memory. Sums in f32 in the order of m, whatever the tile.
// Needs the feature subgroups; takes for granted that the invocations of a workgroup fill its subgroups in order.
//! include lib/fold.wgsl
//! include lib/lane_pairs.wgsl
//! include lib/weight_gradient_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

// The second row of a pair: zeros where the run of rows ends with the first.
fn load_next(part: Part, m: u32, end: u32, n: u32) -> vec4<f32> {
  return select(vec4(0.0), load_dy(part, min(m, end - 1), n), m < end);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let groups = WORKGROUP / COLUMNS;
  let part = part_of(flat_workgroup(workgroup, workgroups), ROWS * groups, 4 * COLUMNS);
  let c = (part.row_tile * groups + local / COLUMNS) * ROWS;
  let n = (part.column_tile * COLUMNS + local % COLUMNS) * 4;

  let run = min(COLUMNS, subgroup_size);
  let first = lane - lane % run;
  let start = chunk_start(part);
  let last = chunk_end(part);
  var place = place_of(start + lane % run);
  var tile: Tile;
  for (var m = start; m < last; m += run) {
    let end = min(m + run, last);
    let own = source_at(part, place, m + lane % run < end);
    place = advance(place, run);
    let rows = RowValues(load_channels(own, c), load_channels(own, c + 4), load_channels(own, c + 8), load_channels(own, c + 12));
    for (var i = m; i < end; i += 2) {
      accumulate_pair(&tile, rows, first + i - m, load_dy(part, i, n), load_next(part, i + 1, end, n));
    }
  }
  store_tile(part, c, n, tile);
}
