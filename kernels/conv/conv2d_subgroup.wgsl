// conv2d as an implicit matrix product (lib/conv2d_io.wgsl says formula, bindings and shapes), rows shared by lanes.
//
// COLUMNS (2, 4 or 8) invocations compute ROWS pixels by 4 * COLUMNS channels, four channels each; a workgroup holds
// several such groups where Cout is small. The lanes of a group load one input channel each of every pixel and spread
// them by subgroupShuffle: no input value is loaded twice for a tap, no workgroup memory. Sums in f32 in the order of
// the weight's rows, whatever the tile.
// Needs the feature subgroups; takes for granted that the invocations of a workgroup fill its subgroups in order.
//! include lib/fold.wgsl
//! include lib/lane_pairs.wgsl
//! include lib/conv2d_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

// The second row of a pair: zeros where the run of rows ends with the first.
fn load_next(k: u32, end: u32, n: u32) -> vec4<f32> {
  return select(vec4(0.0), load_weight(min(k, end - 1), n), k < end);
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
  let row_tiles = (pixel_count() + ROWS * groups - 1) / (ROWS * groups);
  let tile_index = flat_workgroup(workgroup, workgroups);
  let m = (tile_index % row_tiles * groups + local / COLUMNS) * ROWS;
  let n = (tile_index / row_tiles * COLUMNS + local % COLUMNS) * 4;
  let patches0 = patches_from(m);
  let patches1 = patches_from(m + 4);
  let patches2 = patches_from(m + 8);
  let patches3 = patches_from(m + 12);
  let channels = params.c1 + params.c2;

  let run = min(COLUMNS, subgroup_size);
  let first = lane - lane % run;
  var k = 0u;
  var tile: Tile;
  for (var ky = 0u; ky < params.kernel.x; ky++) {
    for (var kx = 0u; kx < params.kernel.y; kx++) {
      let taps0 = taps_at(patches0, ky, kx);
      let taps1 = taps_at(patches1, ky, kx);
      let taps2 = taps_at(patches2, ky, kx);
      let taps3 = taps_at(patches3, ky, kx);
      for (var c = 0u; c < channels; c += run) {
        let own = min(c + lane % run, channels - 1);
        let rows = RowValues(load_input(taps0, own), load_input(taps1, own), load_input(taps2, own), load_input(taps3, own));
        let end = k + min(run, channels - c);
        for (var source = first; k < end; k += 2) {
          accumulate_pair(&tile, rows, source, load_weight(k, n), load_next(k + 1, end, n));
          source += 2;
        }
        k = end;
      }
    }
  }
  store_tile(m, n, tile);
}
