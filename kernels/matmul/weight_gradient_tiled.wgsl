// weight gradient: x transposed times dy (lib/weight_gradient_io.wgsl says formula, bindings and shapes), through
// workgroup memory: for hardware GPUs.
//
// A workgroup of LANES_X by LANES_Y invocations computes ROWS * LANES_Y channels by 4 * LANES_X columns, ROWS by four
// each. STEP values of m at a time are staged, by groups of four channels and four columns, neighbouring invocations
// reading neighbouring groups. Sums in f32 in the order of m, whatever the tile.
// Workgroup bytes: 16 * STEP * (LANES_Y * ROWS / 4 + LANES_X); 8 KiB for 64 by 64.
//! include lib/fold.wgsl
//! include lib/weight_gradient_io.wgsl
override LANES_X: u32 = 16;
override LANES_Y: u32 = 8;
override ROWS: u32 = 8;
override WORKGROUP = LANES_X * LANES_Y;
override CHANNEL_GROUPS = LANES_Y * ROWS / 4;
const STEP = 16u;

// x_tile[m][group of four channels]; dy_tile[m][group of four columns].
var<workgroup> x_tile: array<vec4<f32>, STEP * CHANNEL_GROUPS>;
var<workgroup> dy_tile: array<vec4<f32>, STEP * LANES_X>;

// Values of m past the end are not summed.
fn stage(part: Part, local: u32, m: u32, last: u32, c: u32, n: u32) {
  for (var i = local; i < STEP * CHANNEL_GROUPS; i += WORKGROUP) {
    let own = m + i / CHANNEL_GROUPS;
    x_tile[i] = load_channels(source_at(part, place_of(own), own <= last), c + i % CHANNEL_GROUPS * 4);
  }
  for (var i = local; i < STEP * LANES_X; i += WORKGROUP) {
    dy_tile[i] = load_dy(part, min(m + i / LANES_X, last), n + i % LANES_X * 4);
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let part = part_of(flat_workgroup(workgroup, workgroups), ROWS * LANES_Y, 4 * LANES_X);
  let c = part.row_tile * ROWS * LANES_Y;
  let n = part.column_tile * 4 * LANES_X;
  let column = local % LANES_X;
  let row = local / LANES_X * ROWS;

  let end = chunk_end(part);
  var tile: Tile;
  for (var m = chunk_start(part); m < end; m += STEP) {
    stage(part, local, m, end - 1, c, n);
    workgroupBarrier();
    let steps = min(STEP, end - m);
    for (var i = 0u; i < steps; i++) {
      let at = i * CHANNEL_GROUPS + row / 4;
      var rows: RowValues;
      rows.g0 = x_tile[at];
      if (ROWS > 4) {
        rows.g1 = x_tile[at + 1];
      }
      accumulate(&tile, rows, dy_tile[i * LANES_X + column]);
    }
    workgroupBarrier();
  }
  store_tile(part, c + row, n + 4 * column, tile);
}
