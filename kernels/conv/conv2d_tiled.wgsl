// conv2d as an implicit matrix product (lib/conv2d_io.wgsl says formula, bindings and shapes), through workgroup
// memory: for hardware GPUs.
//
// A workgroup of LANES_X by LANES_Y invocations computes ROWS * LANES_Y pixels by 4 * LANES_X channels, ROWS by four
// each. STEP input channels of one tap at a time are staged: the input by groups of four pixels, neighbouring
// invocations reading neighbouring channels; the weights by groups of four columns. Sums in f32 in the order of the
// weight's rows, whatever the tile. LANES_X is 2 * ROWS, so that each invocation stages two groups of pixels.
// Workgroup bytes: 16 * STEP * (LANES_Y * ROWS / 4 + LANES_X); 8 KiB for 64 by 64.
//! include lib/fold.wgsl
//! include lib/conv2d_io.wgsl
override LANES_X: u32 = 16;
override LANES_Y: u32 = 8;
override ROWS: u32 = 8;
override WORKGROUP = LANES_X * LANES_Y;
const STEP = 16u;

// input_tile[group of four pixels][channel]; weight_tile[channel][group of four columns].
var<workgroup> input_tile: array<vec4<f32>, LANES_Y * ROWS / 4 * STEP>;
var<workgroup> weight_tile: array<vec4<f32>, STEP * LANES_X>;

fn stage_weight(local: u32, k: u32, n: u32) {
  let last = params.kernel.x * params.kernel.y * (params.c1 + params.c2) - 1;
  for (var i = local; i < LANES_X * STEP; i += WORKGROUP) {
    weight_tile[i] = load_weight(min(k + i / LANES_X, last), n + i % LANES_X * 4);
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row_tiles = (pixel_count() + ROWS * LANES_Y - 1) / (ROWS * LANES_Y);
  let tile_index = flat_workgroup(workgroup, workgroups);
  let m = tile_index % row_tiles * ROWS * LANES_Y;
  let n = tile_index / row_tiles * 4 * LANES_X;
  let column = local % LANES_X;
  let row = local / LANES_X * ROWS;
  let channels = params.c1 + params.c2;
  let patches0 = patches_of(four_from(m + local / STEP * 4));
  let patches1 = patches_of(four_from(m + (WORKGROUP + local) / STEP * 4));

  var tile: Tile;
  var k = 0u;
  for (var ky = 0u; ky < params.kernel.x; ky++) {
    for (var kx = 0u; kx < params.kernel.y; kx++) {
      let taps0 = taps_at(patches0, ky, kx);
      let taps1 = taps_at(patches1, ky, kx);
      for (var c = 0u; c < channels; c += STEP) {
        let channel = min(c + local % STEP, channels - 1);
        input_tile[local] = load_input(taps0, channel);
        input_tile[WORKGROUP + local] = load_input(taps1, channel);
        stage_weight(local, k, n);
        workgroupBarrier();
        let end = min(STEP, channels - c);
        for (var i = 0u; i < end; i++) {
          let at = row / 4 * STEP + i;
          var rows: RowValues;
          rows.g0 = input_tile[at];
          if (ROWS > 4) {
            rows.g1 = input_tile[at + STEP];
          }
          accumulate(&tile, rows, weight_tile[i * LANES_X + column]);
        }
        k += end;
        workgroupBarrier();
      }
    }
  }
  store_tile(m + row, n + 4 * column, tile);
}
