// conv2d as an implicit matrix product (lib/conv2d_io.wgsl says formula, bindings and shapes).
//
// COLUMNS invocations compute ROWS pixels by 4 * COLUMNS channels, four channels each; a workgroup holds several such
// groups where Cout is small. The lanes of a group load one input channel each of every pixel and spread them
// (lib/lane_tile.wgsl): no input value is loaded twice for a tap, no workgroup memory. Sums in f32 in the order of the
// weight's rows, whatever the tile.
// Needs the feature subgroups; takes for granted that the invocations of a workgroup fill its subgroups in order.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! include lib/lane_tile.wgsl
//! include lib/conv2d_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

fn store_rows(m: u32, n: u32, sums: mat4x4<f32>) {
  for (var r = 0u; r < 4; r++) {
    store_row(m + r, n, sums[r]);
  }
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
  let p0 = patches_from(m);
  let p1 = patches_from(m + 4);
  let p2 = patches_from(m + 8);
  let p3 = patches_from(m + 12);

  let channels = params.c1 + params.c2;
  let run = min(COLUMNS, subgroup_size);
  let first = lane - lane % run;
  var k = 0u;
  var tile: Tile;
  for (var ky = 0u; ky < params.kernel.x; ky++) {
    for (var kx = 0u; kx < params.kernel.y; kx++) {
      let t0 = taps_at(p0, ky, kx);
      let t1 = taps_at(p1, ky, kx);
      let t2 = taps_at(p2, ky, kx);
      let t3 = taps_at(p3, ky, kx);
      for (var c = 0u; c < channels; c += run) {
        let own = min(c + lane % run, channels - 1);
        let values = RowValues(load_input(t0, own), load_input(t1, own), load_input(t2, own), load_input(t3, own));
        let end = min(run, channels - c);
        for (var i = 0u; i < end; i++) {
          accumulate(&tile, values, first + i, load_weight(k + i, n));
        }
        k += end;
      }
    }
  }
  store_rows(m, n, tile.s0);
  if (ROWS > 4) {
    store_rows(m + 4, n, tile.s1);
  }
  if (ROWS > 8) {
    store_rows(m + 8, n, tile.s2);
    store_rows(m + 12, n, tile.s3);
  }
}
