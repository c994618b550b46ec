// matmul through workgroup memory (lib/matmul_io.wgsl says formula, bindings and shapes): for hardware GPUs.
//
// A workgroup of LANES_X by LANES_Y invocations computes ROWS * LANES_Y rows by 4 * LANES_X columns, ROWS by four each.
// STEP values of k at a time are staged: a by groups of four rows, neighbouring invocations reading neighbouring k;
// b by groups of four columns. Sums in f32 in the order of k, whatever the tile. LANES_X is 2 * ROWS, so that each
// invocation stages two groups of rows.
// Workgroup bytes: 16 * STEP * (LANES_Y * ROWS / 4 + LANES_X, twice where GATED); 8 KiB for 64 by 64.
//! include lib/fold.wgsl
//! include lib/matmul_io.wgsl
override LANES_X: u32 = 16;
override LANES_Y: u32 = 8;
override ROWS: u32 = 8;
override WORKGROUP = LANES_X * LANES_Y;
const STEP = 16u;

// a_tile[group of four rows][k]; b_tile[k][group of four columns], the gate's columns after the value's.
var<workgroup> a_tile: array<vec4<f32>, LANES_Y * ROWS / 4 * STEP>;
var<workgroup> b_tile: array<vec4<f32>, STEP * LANES_X * (1 + u32(GATED))>;

fn stage_b(local: u32, start: u32, k: u32, n: u32, offset: u32) {
  for (var i = local; i < LANES_X * STEP; i += WORKGROUP) {
    b_tile[offset + i] = load_b(start, min(k + i / LANES_X, params.K - 1), n + i % LANES_X * 4);
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row_tiles = (params.M + ROWS * LANES_Y - 1) / (ROWS * LANES_Y);
  let column_tiles = (params.N + 4 * LANES_X - 1) / (4 * LANES_X);
  let tile = flat_workgroup(workgroup, workgroups);
  let batch = tile / (row_tiles * column_tiles);
  let m = tile % row_tiles * ROWS * LANES_Y;
  let n = tile / row_tiles % column_tiles * 4 * LANES_X;
  let b_start = batch * params.b_stride;
  let column = local % LANES_X;
  let row = local / LANES_X * ROWS;
  let rows0 = row_offsets(batch, four_from(m + local / STEP * 4));
  let rows1 = row_offsets(batch, four_from(m + (WORKGROUP + local) / STEP * 4));

  var values: Tile;
  var gates: Tile;
  for (var k = 0u; k < params.K; k += STEP) {
    let own = min(k + local % STEP, params.K - 1);
    a_tile[local] = load_a(rows0 + own);
    a_tile[WORKGROUP + local] = load_a(rows1 + own);
    stage_b(local, b_start, k, n, 0);
    if (GATED) {
      stage_b(local, b_start + params.N, k, n, LANES_X * STEP);
    }
    workgroupBarrier();
    let end = min(STEP, params.K - k);
    for (var i = 0u; i < end; i++) {
      let at = row / 4 * STEP + i;
      var rows: RowValues;
      rows.g0 = a_tile[at];
      if (ROWS > 4) {
        rows.g1 = a_tile[at + STEP];
      }
      accumulate(&values, rows, b_tile[i * LANES_X + column]);
      if (GATED) {
        accumulate(&gates, rows, b_tile[(STEP + i) * LANES_X + column]);
      }
    }
    workgroupBarrier();
  }
  store_tile(batch, m + row, n + 4 * column, values, gates);
}
