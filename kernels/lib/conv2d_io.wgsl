// What the convolution kernels share: params, bindings, where the rows of the implicit matrix lie, and the epilogue.
//
// y[b, oy, ox, n] = activation(sum_{ky, kx, c} in[b, oy * stride + ky - top, ox * stride + kx - left, c]
//                   * weight[ky, kx, c, n] + bias[n] + shift[b, n]) + residual[b, oy, ox, n]
// in = concatenation of x and skip along the channels, nearest-upsampled by 2 where UPSAMPLE is 2, zero outside.
//
// x        [B, H, W, C1], skip [B, H, W, C2] storage type T; shift [B, Cout], residual and y [B, Ho, Wo, Cout] too
// weight   [kh, kw, C1 + C2, Cout]; weight4 the same by fours, bound instead where QUADS (Cout a multiple of 4);
//          bias [Cout]; storage type W
// Seen as a matrix product: a row m = (b * Ho + oy) * Wo + ox is an output pixel, a column n an output channel, and
// k = (ky * kw + kx) * Cin + c runs over the patch.
//! include lib/activations.wgsl
//! include lib/row_tile.wgsl
//! alias T
//! alias W
override QUADS: bool = false;
override UPSAMPLE: u32 = 1;
override HAS_SKIP: bool = false;
override HAS_BIAS: bool = false;
override HAS_SHIFT: bool = false;
override HAS_RESIDUAL: bool = false;
override ACTIVATION: u32 = 0;

struct Params {
  batches: u32,
  height: u32,
  width: u32,
  c1: u32,
  c2: u32,
  out_height: u32,
  out_width: u32,
  c_out: u32,
  kernel: vec2<u32>,
  padding: vec2<u32>,
  stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> skip: array<T>;
@group(0) @binding(3) var<storage, read> weight: array<W>;
@group(0) @binding(4) var<storage, read> weight4: array<W4>;
@group(0) @binding(5) var<storage, read> bias: array<W>;
@group(0) @binding(6) var<storage, read> shift: array<T>;
@group(0) @binding(7) var<storage, read> residual: array<T>;
@group(0) @binding(8) var<storage, read_write> y: array<T>;

// Number of output pixels: rows of the product.
fn pixel_count() -> u32 {
  return params.batches * params.out_height * params.out_width;
}

// Sample and top left corner of the patches of four rows. A corner above or left of the image wraps.
struct Patches {
  sample: vec4<u32>,
  top: vec4<u32>,
  left: vec4<u32>,
}

// Rows past the end repeat the last one; they are not stored.
fn patches_of(rows: vec4<u32>) -> Patches {
  let pixel = min(rows, vec4(pixel_count() - 1));
  let line = pixel / params.out_width;
  let sample = line / params.out_height;
  return Patches(
    sample,
    (line - sample * params.out_height) * params.stride - params.padding.x,
    (pixel - line * params.out_width) * params.stride - params.padding.y,
  );
}

// The input pixels that four rows read at one tap, and whether they lie inside the image.
struct Taps {
  pixel: vec4<u32>,
  inside: vec4<bool>,
}

fn taps_at(patches: Patches, ky: u32, kx: u32) -> Taps {
  let row = patches.top + ky;
  let column = patches.left + kx;
  let inside = (row < vec4(params.height * UPSAMPLE)) & (column < vec4(params.width * UPSAMPLE));
  let pixel = (patches.sample * params.height + row / UPSAMPLE) * params.width + column / UPSAMPLE;
  return Taps(select(vec4(0u), pixel, inside), inside);
}

// One channel of four input pixels.
fn load_input(taps: Taps, channel: u32) -> vec4<f32> {
  if (HAS_SKIP && channel >= params.c1) {
    let at = taps.pixel * params.c2 + channel - params.c1;
    return select(vec4(0.0), vec4(f32(skip[at.x]), f32(skip[at.y]), f32(skip[at.z]), f32(skip[at.w])), taps.inside);
  }
  let at = taps.pixel * params.c1 + channel;
  return select(vec4(0.0), vec4(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w])), taps.inside);
}

// Four columns from n on. Columns past the end repeat the last one; they are not stored.
fn four_columns(n: u32) -> vec4<u32> {
  return min(four_from(n), vec4(params.c_out - 1));
}

// Four columns of row k of the weights.
fn load_weight(k: u32, n: u32) -> vec4<f32> {
  let row = k * params.c_out;
  if (QUADS) {
    return vec4<f32>(weight4[(row + min(n, params.c_out - 4)) / 4]);
  }
  let at = row + four_columns(n);
  return vec4(f32(weight[at.x]), f32(weight[at.y]), f32(weight[at.z]), f32(weight[at.w]));
}

// The bias of four columns.
fn load_bias(n: u32) -> vec4<f32> {
  if (!HAS_BIAS) {
    return vec4(0.0);
  }
  let at = four_columns(n);
  return vec4(f32(bias[at.x]), f32(bias[at.y]), f32(bias[at.z]), f32(bias[at.w]));
}

// Finishes and stores four columns from n on of row m.
fn store_row(m: u32, n: u32, sums: vec4<f32>) {
  let sample = m / (params.out_height * params.out_width);
  let index = m * params.c_out + n;
  for (var j = 0u; j < 4; j++) {
    if (QUADS || n + j < params.c_out) {
      var value = sums[j];
      if (HAS_SHIFT) {
        value += f32(shift[sample * params.c_out + n + j]);
      }
      value = activate(value, ACTIVATION);
      if (HAS_RESIDUAL) {
        value += f32(residual[index + j]);
      }
      y[index + j] = T(value);
    }
  }
}

// Stores what of a tile lies inside y.
fn store_tile(m: u32, n: u32, tile: Tile) {
  if (m >= pixel_count() || n >= params.c_out) {
    return;
  }
  let offset = load_bias(n);
  var rows = rows_of(tile);
  let end = min(m + ROWS, pixel_count());
  for (var row = m; row < end; row++) {
    store_row(row, n, rows[row - m] + offset);
  }
}
