// matmul with rows shared between lanes (lib/matmul_io.wgsl says formula, bindings and shapes).
//
// COLUMNS invocations compute ROWS rows by 4 * COLUMNS columns, four columns each; a workgroup holds several such
// groups where N is small. The lanes of a group load one k each of every row of a and spread them by subgroupShuffle:
// no value of a is loaded twice, no workgroup memory. Sums in f32 in the order of k, whatever the tile.
// Needs the feature subgroups; takes for granted that the invocations of a workgroup fill its subgroups in order.
//! include lib/fold.wgsl
//! include lib/spread.wgsl
//! include lib/matmul_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let groups = WORKGROUP / COLUMNS;
  let row_tiles = (params.M + ROWS * groups - 1) / (ROWS * groups);
  let column_tiles = (params.N + 4 * COLUMNS - 1) / (4 * COLUMNS);
  let tile = flat_workgroup(workgroup, workgroups);
  let batch = tile / (row_tiles * column_tiles);
  let m = (tile % row_tiles * groups + local / COLUMNS) * ROWS;
  let n = (tile / row_tiles % column_tiles * COLUMNS + local % COLUMNS) * 4;
  let b_start = batch * params.b_stride;
  let rows0 = row_offsets(batch, m);
  let rows1 = row_offsets(batch, m + 4);
  let rows2 = row_offsets(batch, m + 8);
  let rows3 = row_offsets(batch, m + 12);

  let run = min(COLUMNS, subgroup_size);
  let first = lane - lane % run;
  var values: Tile;
  var gates: Tile;
  for (var k = 0u; k < params.K; k += run) {
    let own = min(k + lane % run, params.K - 1);
    let rows = RowValues(load_a(rows0 + own), load_a(rows1 + own), load_a(rows2 + own), load_a(rows3 + own));
    let end = min(run, params.K - k);
    for (var i = 0u; i < end; i++) {
      let row_values = spread(rows, first + i);
      accumulate(&values, row_values, load_b(b_start, k + i, n));
      if (GATED) {
        accumulate(&gates, row_values, load_b(b_start + params.N, k + i, n));
      }
    }
  }
  store_tile(batch, m, n, values, gates);
}
