// What the weight gradient kernels share: params, bindings, loads with clamped tails, and the epilogue.
//
// sums[chunk, i, ky, kx, c, n] = scale * sum over m of the chunk of in[i, m, ky, kx, c] * dy[i, m, n]
// POINTWISE: in[i, m, c] = x[i, m, c], the product of a transposed matrix with another, for each item i of a batch.
// Otherwise in is what a convolution's output pixel m = (b * Ho + oy) * Wo + ox multiplies with weight[ky, kx, c, n]
// (lib/conv2d_io.wgsl), there is one item, and m runs over the samples as well.
//
// x        [I, M, C1] or [B, H, W, C1], skip [B, H, W, C2], dy [I, M, N] storage type T; x4, skip4, dy4 the same by
//          fours, bound instead where QUAD_CHANNELS (C1 and C2 multiples of 4) and QUADS (N a multiple of 4)
// sums     f32 [chunks, I, kh, kw, C1 + C2, N], of chunks of `chunk` values of m (the last may be shorter)
//! include lib/row_tile.wgsl
//! alias T
override POINTWISE: bool = false;
override QUAD_CHANNELS: bool = false;
override QUADS: bool = false;
override HAS_SKIP: bool = false;
override UPSAMPLE: u32 = 1;

struct Params {
  items: u32,
  positions: u32,
  chunk: u32,
  chunks: u32,
  c1: u32,
  c2: u32,
  N: u32,
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  kernel: vec2<u32>,
  padding: vec2<u32>,
  stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> x4: array<T4>;
@group(0) @binding(3) var<storage, read> skip: array<T>;
@group(0) @binding(4) var<storage, read> skip4: array<T4>;
@group(0) @binding(5) var<storage, read> dy: array<T>;
@group(0) @binding(6) var<storage, read> dy4: array<T4>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

// The part of the sums that a workgroup computes: some channels of one tap of one item, over one chunk.
struct Part {
  row_tile: u32,
  column_tile: u32,
  tap: u32,
  item: u32,
  chunk: u32,
}

fn part_of(index: u32, tile_rows: u32, tile_columns: u32) -> Part {
  let row_tiles = (params.c1 + params.c2 + tile_rows - 1) / tile_rows;
  let column_tiles = (params.N + tile_columns - 1) / tile_columns;
  let taps = params.kernel.x * params.kernel.y;
  let column_index = index / row_tiles;
  let tap_index = column_index / column_tiles;
  let item_index = tap_index / taps;
  return Part(index % row_tiles, column_index % column_tiles, tap_index % taps, item_index % params.items, item_index / params.items);
}

// The first m of a chunk. A chunk of the surplus of a folded grid is empty.
fn chunk_start(part: Part) -> u32 {
  return min(part.chunk, params.chunks) * params.chunk;
}

fn chunk_end(part: Part) -> u32 {
  return min(chunk_start(part) + params.chunk, params.positions);
}

// The output pixel of m; of a product of matrices, the column alone counts.
struct Place {
  sample: u32,
  row: u32,
  column: u32,
}

fn place_of(m: u32) -> Place {
  if (POINTWISE) {
    return Place(0, 0, m);
  }
  let line = m / params.out_width;
  let sample = line / params.out_height;
  return Place(sample, line - sample * params.out_height, m - line * params.out_width);
}

// The place `steps` of m further on, without divisions: on CPU devices these take longer than the products of an m.
fn advance(place: Place, steps: u32) -> Place {
  var next = place;
  next.column += steps;
  if (!POINTWISE) {
    while (next.column >= params.out_width) {
      next.column -= params.out_width;
      next.row++;
    }
    while (next.row >= params.out_height) {
      next.row -= params.out_height;
      next.sample++;
    }
  }
  return next;
}

// The input pixel that a place reads, and whether it lies inside the image: not so past the last place.
struct Source {
  pixel: u32,
  inside: bool,
}

fn source_at(part: Part, place: Place, exists: bool) -> Source {
  if (POINTWISE) {
    return Source(part.item * params.positions + select(0u, place.column, exists), exists);
  }
  // A position above or left of the image wraps to a huge number and fails the comparison as well.
  let row = place.row * params.stride + part.tap / params.kernel.y - params.padding.x;
  let column = place.column * params.stride + part.tap % params.kernel.y - params.padding.y;
  let inside = exists && row < params.height * UPSAMPLE && column < params.width * UPSAMPLE;
  let pixel = (place.sample * params.height + row / UPSAMPLE) * params.width + column / UPSAMPLE;
  return Source(select(0u, pixel, inside), inside);
}

// One channel of an input pixel.
fn load_channel(pixel: u32, channel: u32) -> f32 {
  if (HAS_SKIP && channel >= params.c1) {
    return f32(skip[pixel * params.c2 + channel - params.c1]);
  }
  return f32(x[pixel * params.c1 + channel]);
}

// Four channels of an input pixel from c on. Channels past the end repeat the last ones; they are not stored.
fn load_channels(source: Source, c: u32) -> vec4<f32> {
  let last = params.c1 + params.c2 - 1;
  var values: vec4<f32>;
  if (QUAD_CHANNELS) {
    let from_c = min(c, last - 3);
    if (HAS_SKIP && from_c >= params.c1) {
      values = vec4<f32>(skip4[(source.pixel * params.c2 + from_c - params.c1) / 4]);
    } else {
      values = vec4<f32>(x4[(source.pixel * params.c1 + from_c) / 4]);
    }
  } else {
    let at = min(four_from(c), vec4(last));
    let pixel = source.pixel;
    values = vec4(load_channel(pixel, at.x), load_channel(pixel, at.y), load_channel(pixel, at.z), load_channel(pixel, at.w));
  }
  return select(vec4(0.0), values, source.inside);
}

// Four columns from n on of row m of dy. Columns past the end repeat the last ones; they are not stored.
fn load_dy(part: Part, m: u32, n: u32) -> vec4<f32> {
  let row = (part.item * params.positions + m) * params.N;
  if (QUADS) {
    return vec4<f32>(dy4[(row + min(n, params.N - 4)) / 4]);
  }
  let at = row + min(four_from(n), vec4(params.N - 1));
  return vec4(f32(dy[at.x]), f32(dy[at.y]), f32(dy[at.z]), f32(dy[at.w]));
}

// Stores what of a tile lies inside the sums: channels from c on, columns from n on.
fn store_tile(part: Part, c: u32, n: u32, tile: Tile) {
  let channels = params.c1 + params.c2;
  if (part.chunk >= params.chunks || n >= params.N) {
    return;
  }
  let first = ((part.chunk * params.items + part.item) * params.kernel.x * params.kernel.y + part.tap) * channels;
  var rows = rows_of(tile);
  let end = min(c + ROWS, channels);
  for (var channel = c; channel < end; channel++) {
    let values = params.scale * rows[channel - c];
    for (var j = 0u; j < 4; j++) {
      if (QUADS || n + j < params.N) {
        sums[(first + channel) * params.N + n + j] = values[j];
      }
    }
  }
}
