// matmul in registers alone (lib/matmul_io.wgsl says formula, bindings and shapes).
//
// As matmul_subgroup.wgsl, but each invocation loads all values of its rows itself: for software devices without
// subgroups. Sums in f32 in the order of k, whatever the tile.
//! include lib/fold.wgsl
//! include lib/matmul_io.wgsl
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
  let row_tiles = (params.M + ROWS * groups - 1) / (ROWS * groups);
  let column_tiles = (params.N + 4 * COLUMNS - 1) / (4 * COLUMNS);
  let tile = flat_workgroup(workgroup, workgroups);
  let batch = tile / (row_tiles * column_tiles);
  let m = (tile % row_tiles * groups + local / COLUMNS) * ROWS;
  let n = (tile / row_tiles % column_tiles * COLUMNS + local % COLUMNS) * 4;
  let b_start = batch * params.b_stride;
  let rows0 = row_offsets(batch, four_from(m));
  let rows1 = row_offsets(batch, four_from(m + 4));
  let rows2 = row_offsets(batch, four_from(m + 8));
  let rows3 = row_offsets(batch, four_from(m + 12));

  var values: Tile;
  var gates: Tile;
  for (var k = 0u; k < params.K; k++) {
    let rows = RowValues(load_a(rows0 + k), load_a(rows1 + k), load_a(rows2 + k), load_a(rows3 + k));
    accumulate(&values, rows, load_b(b_start, k, n));
    if (GATED) {
      accumulate(&gates, rows, load_b(b_start + params.N, k, n));
    }
  }
  store_tile(batch, m, n, values, gates);
}
