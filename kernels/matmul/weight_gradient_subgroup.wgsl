// weight gradient: x transposed times dy (lib/weight_gradient_io.wgsl says formula, bindings and shapes), with the
// values of x shared between lanes.
//
// COLUMNS (4 or 8) invocations compute ROWS channels by 4 * COLUMNS columns, four columns each; a workgroup holds two such
// groups where COLUMNS is 4. The lanes of a group load each channel at four m and spread them by subgroupShuffle
// (lib/lane_rows.wgsl): no value of x is loaded twice, no workgroup memory. Sums in f32 in the order of m, whatever the tile.
// Needs subgroups of at least COLUMNS lanes; takes for granted that the invocations of a workgroup fill them in order.
//! include lib/fold.wgsl
//! include lib/lane_rows.wgsl
//! include lib/weight_gradient_io.wgsl
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;

// The output pixels of four neighbouring m; of a product of matrices, the column alone counts.
struct Places {
  sample: vec4<u32>,
  row: vec4<u32>,
  column: vec4<u32>,
}

fn places_from(m: u32) -> Places {
  let at = four_from(m);
  if (POINTWISE) {
    return Places(vec4(0u), vec4(0u), at);
  }
  let line = at / params.out_width;
  let sample = line / params.out_height;
  return Places(sample, line - sample * params.out_height, at - line * params.out_width);
}

// The places of the next four, without divisions.
fn next_places(places: Places) -> Places {
  var next = places;
  next.column += 4;
  if (!POINTWISE) {
    while (any(next.column >= vec4(params.out_width))) {
      let wraps = next.column >= vec4(params.out_width);
      next.column = select(next.column, next.column - params.out_width, wraps);
      next.row = select(next.row, next.row + 1, wraps);
      let ends = next.row >= vec4(params.out_height);
      next.row = select(next.row, vec4(0u), ends);
      next.sample = select(next.sample, next.sample + 1, ends);
    }
  }
  return next;
}

// The input pixels that four places read, and whether they lie inside the image.
struct Sources {
  pixel: vec4<u32>,
  inside: vec4<bool>,
}

fn sources_at(part: Part, places: Places, exist: vec4<bool>) -> Sources {
  if (POINTWISE) {
    return Sources(part.item * params.positions + select(vec4(0u), places.column, exist), exist);
  }
  // A position above or left of the image wraps to a huge number and fails the comparison as well.
  let row = places.row * params.stride + part.tap / params.kernel.y - params.padding.x;
  let column = places.column * params.stride + part.tap % params.kernel.y - params.padding.y;
  let inside = exist & (row < vec4(params.height * UPSAMPLE)) & (column < vec4(params.width * UPSAMPLE));
  let pixel = (places.sample * params.height + row / UPSAMPLE) * params.width + column / UPSAMPLE;
  return Sources(select(vec4(0u), pixel, inside), inside);
}

// One channel of four pixels. Channels past the end repeat the last one; they are not stored.
fn load_own(sources: Sources, channel: u32) -> vec4<f32> {
  let c = min(channel, params.c1 + params.c2 - 1);
  let pixel = sources.pixel;
  return select(vec4(0.0), vec4(load_channel(pixel.x, c), load_channel(pixel.y, c), load_channel(pixel.z, c), load_channel(pixel.w, c)), sources.inside);
}

// Four columns of four rows of dy. Rows past the last repeat it; they meet zeros.
fn load_rows(part: Part, m: u32, n: u32) -> mat4x4<f32> {
  let last = params.positions - 1;
  return mat4x4(load_dy(part, m, n), load_dy(part, min(m + 1, last), n), load_dy(part, min(m + 2, last), n), load_dy(part, min(m + 3, last), n));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let groups = WORKGROUP / COLUMNS;
  let part = part_of(flat_workgroup(workgroup, workgroups), ROWS * groups, 4 * COLUMNS);
  let c = (part.row_tile * groups + local / COLUMNS) * ROWS;
  let n = (part.column_tile * COLUMNS + local % COLUMNS) * 4;

  let first = lane - lane % COLUMNS;
  let channels = own_rows(c, lane);
  let last = chunk_end(part);
  var places = places_from(chunk_start(part));
  var tile: Tile;
  for (var m = chunk_start(part); m < last; m += 4) {
    let sources = sources_at(part, places, four_from(m) < vec4(last));
    places = next_places(places);
    let own = RowValues(load_own(sources, channels.x), load_own(sources, channels.y), load_own(sources, channels.z), load_own(sources, channels.w));
    accumulate_rows(&tile, own, first, load_rows(part, m, n));
  }
  store_tile(part, c, n, tile);
}
