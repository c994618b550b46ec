// weight gradient: x transposed times dy (lib/weight_gradient_io.wgsl says formula, bindings and shapes), in registers
// alone.
//
// As weight_gradient_subgroup.wgsl, but each invocation loads all values of its channels itself: for software devices
// without subgroups. Sums in f32 in the order of m, whatever the tile.
//! include lib/fold.wgsl
//! include lib/weight_gradient_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let groups = WORKGROUP / COLUMNS;
  let part = part_of(flat_workgroup(workgroup, workgroups), ROWS * groups, 4 * COLUMNS);
  let c = (part.row_tile * groups + local / COLUMNS) * ROWS;
  let n = (part.column_tile * COLUMNS + local % COLUMNS) * 4;

  let start = chunk_start(part);
  let end = chunk_end(part);
  var place = place_of(start);
  var tile: Tile;
  for (var m = start; m < end; m++) {
    let source = source_at(part, place, true);
    place = advance(place, 1);
    let rows = RowValues(load_channels(source, c), load_channels(source, c + 4), load_channels(source, c + 8), load_channels(source, c + 12));
    accumulate(&tile, rows, load_dy(part, m, n));
  }
  store_tile(part, c, n, tile);
}
