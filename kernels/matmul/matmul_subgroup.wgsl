// matmul with rows shared between lanes (lib/matmul_io.wgsl says formula, bindings and shapes).
//
// COLUMNS (2, 4 or 8) invocations compute ROWS rows by 4 * COLUMNS columns, four columns each; a workgroup holds
// several such groups where N is small. The lanes of a group load one k each of every row of a and spread them by
// subgroupShuffle: no value of a is loaded twice, no workgroup memory. Sums in f32 in the order of k, whatever the tile.
// Needs the feature subgroups; takes for granted that the invocations of a workgroup fill its subgroups in order.
//! include lib/fold.wgsl
//! include lib/lane_pairs.wgsl
//! include lib/matmul_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

// The second row of a pair: zeros where the run of rows ends with the first.
fn load_next(start: u32, k: u32, end: u32, n: u32) -> vec4<f32> {
  return select(vec4(0.0), load_b(start, min(k, end - 1), n), k < end);
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
    let end = min(k + run, params.K);
    for (var i = k; i < end; i += 2) {
      let source = first + i - k;
      accumulate_pair(&values, rows, source, load_b(b_start, i, n), load_next(b_start, i + 1, end, n));
      if (GATED) {
        let gate_start = b_start + params.N;
        accumulate_pair(&gates, rows, source, load_b(gate_start, i, n), load_next(gate_start, i + 1, end, n));
      }
    }
  }
  store_tile(batch, m, n, values, gates);
}
