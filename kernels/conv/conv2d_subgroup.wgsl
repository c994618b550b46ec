// conv2d as an implicit matrix product (lib/conv2d_io.wgsl says formula, bindings and shapes), rows shared by lanes.
//
// COLUMNS (4 or 8) invocations compute ROWS pixels by 4 * COLUMNS channels, four channels each; a workgroup holds two such
// groups where COLUMNS is 4. The lanes of a group load four input channels of each pixel and spread them by subgroupShuffle
// (lib/lane_rows.wgsl): no input value is loaded twice for a tap, no workgroup memory. Sums in f32 in the order of the
// weight's rows, whatever the tile.
// Needs subgroups of at least COLUMNS lanes; takes for granted that the invocations of a workgroup fill them in order.
//! include lib/fold.wgsl
//! include lib/lane_rows.wgsl
//! include lib/conv2d_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

// Four channels of a pixel of x; zeros outside the image and past the last channel.
fn load_x(pixel: u32, inside: bool, channel: u32) -> vec4<f32> {
  let channels = four_from(channel);
  let at = pixel * params.c1 + min(channels, vec4(params.c1 - 1));
  let values = vec4(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w]));
  return select(vec4(0.0), values, vec4(inside) & (channels < vec4(params.c1)));
}

// The same of skip.
fn load_skip(pixel: u32, inside: bool, channel: u32) -> vec4<f32> {
  let channels = four_from(channel);
  let at = pixel * params.c2 + min(channels, vec4(params.c2 - 1));
  let values = vec4(f32(skip[at.x]), f32(skip[at.y]), f32(skip[at.z]), f32(skip[at.w]));
  return select(vec4(0.0), values, vec4(inside) & (channels < vec4(params.c2)));
}

// Four columns of four rows of the weights. Rows past the last repeat it; they meet zeros.
fn load_weights(k: u32, n: u32) -> mat4x4<f32> {
  let last = params.kernel.x * params.kernel.y * (params.c1 + params.c2) - 1;
  return mat4x4(load_weight(k, n), load_weight(min(k + 1, last), n), load_weight(min(k + 2, last), n), load_weight(min(k + 3, last), n));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let groups = WORKGROUP / COLUMNS;
  let row_tiles = (pixel_count() + ROWS * groups - 1) / (ROWS * groups);
  let tile_index = flat_workgroup(workgroup, workgroups);
  let m = (tile_index % row_tiles * groups + local / COLUMNS) * ROWS;
  let n = (tile_index / row_tiles * COLUMNS + local % COLUMNS) * 4;
  let first = lane - lane % COLUMNS;
  let patches = patches_of(own_rows(m, lane));

  var k = 0u;
  var tile: Tile;
  for (var ky = 0u; ky < params.kernel.x; ky++) {
    for (var kx = 0u; kx < params.kernel.y; kx++) {
      let taps = taps_at(patches, ky, kx);
      for (var c = 0u; c < params.c1; c += 4) {
        let own = RowValues(
          load_x(taps.pixel.x, taps.inside.x, c),
          load_x(taps.pixel.y, taps.inside.y, c),
          load_x(taps.pixel.z, taps.inside.z, c),
          load_x(taps.pixel.w, taps.inside.w, c),
        );
        accumulate_rows(&tile, own, first, load_weights(k + c, n));
      }
      k += params.c1;
      if (HAS_SKIP) {
        for (var c = 0u; c < params.c2; c += 4) {
          let own = RowValues(
            load_skip(taps.pixel.x, taps.inside.x, c),
            load_skip(taps.pixel.y, taps.inside.y, c),
            load_skip(taps.pixel.z, taps.inside.z, c),
            load_skip(taps.pixel.w, taps.inside.w, c),
          );
          accumulate_rows(&tile, own, first, load_weights(k + c, n));
        }
        k += params.c2;
      }
    }
  }
  store_tile(m, n, tile);
}
