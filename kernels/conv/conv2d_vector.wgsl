// conv2d as an implicit matrix product (lib/conv2d_io.wgsl says formula, bindings and shapes), in registers alone.
//
// As conv2d_subgroup.wgsl, but each invocation loads all input values of its pixels itself: for software devices
// without subgroups. Sums in f32 in the order of the weight's rows, whatever the tile.
//! include lib/fold.wgsl
//! include lib/conv2d_io.wgsl
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
  let row_tiles = (pixel_count() + ROWS * groups - 1) / (ROWS * groups);
  let tile_index = flat_workgroup(workgroup, workgroups);
  let m = (tile_index % row_tiles * groups + local / COLUMNS) * ROWS;
  let n = (tile_index / row_tiles * COLUMNS + local % COLUMNS) * 4;
  let patches0 = patches_of(four_from(m));
  let patches1 = patches_of(four_from(m + 4));
  let patches2 = patches_of(four_from(m + 8));
  let patches3 = patches_of(four_from(m + 12));
  let channels = params.c1 + params.c2;

  var k = 0u;
  var tile: Tile;
  for (var ky = 0u; ky < params.kernel.x; ky++) {
    for (var kx = 0u; kx < params.kernel.y; kx++) {
      let taps0 = taps_at(patches0, ky, kx);
      let taps1 = taps_at(patches1, ky, kx);
      let taps2 = taps_at(patches2, ky, kx);
      let taps3 = taps_at(patches3, ky, kx);
      for (var c = 0u; c < channels; c++) {
        let rows = RowValues(load_input(taps0, c), load_input(taps1, c), load_input(taps2, c), load_input(taps3, c));
        accumulate(&tile, rows, load_weight(k, n));
        k++;
      }
    }
  }
  store_tile(m, n, tile);
}
