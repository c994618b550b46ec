// matmul with rows shared between lanes (lib/matmul_io.wgsl says formula, bindings and shapes).
//
// COLUMNS (4 or 8) invocations compute ROWS rows by 4 * COLUMNS columns, four columns each; a workgroup holds two such
// groups where COLUMNS is 4. The lanes of a group load four k of each row of a and spread them by subgroupShuffle
// (lib/lane_rows.wgsl): no value of a is loaded twice, no workgroup memory. Sums in f32 in the order of k, whatever the tile.
// Needs subgroups of at least COLUMNS lanes; takes for granted that the invocations of a workgroup fill them in order.
//! include lib/fold.wgsl
//! include lib/lane_rows.wgsl
//! include lib/matmul_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

// Four k of a row of a; zeros past the last.
fn load_own(offset: u32, k: u32) -> vec4<f32> {
  let at = four_from(k);
  return select(vec4(0.0), load_a(offset + min(at, vec4(params.K - 1))), at < vec4(params.K));
}

// Four columns of four rows of b. Rows past the last repeat it; they meet zeros.
fn load_rows(start: u32, k: u32, n: u32) -> mat4x4<f32> {
  let last = params.K - 1;
  return mat4x4(load_b(start, k, n), load_b(start, min(k + 1, last), n), load_b(start, min(k + 2, last), n), load_b(start, min(k + 3, last), n));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
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
  let first = lane - lane % COLUMNS;
  let offsets = row_offsets(batch, own_rows(m, lane));

  var values: Tile;
  var gates: Tile;
  for (var k = 0u; k < params.K; k += 4) {
    let own = RowValues(load_own(offsets.x, k), load_own(offsets.y, k), load_own(offsets.z, k), load_own(offsets.w, k));
    accumulate_rows(&values, own, first, load_rows(b_start, k, n));
    if (GATED) {
      accumulate_rows(&gates, own, first, load_rows(b_start + params.N, k, n));
    }
  }
  store_tile(batch, m, n, values, gates);
}
