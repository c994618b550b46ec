// What the pooling kernels share: params, bindings, and the window of the input that an element of the output draws on.
//
// x [B, H, W, C], y [B, Ho, Wo, C] storage type T; the window of y[b, oy, ox, c] is x[b, iy, ix, c] with
// iy in oy * stride - padding.x + [0, kernel.x), ix in ox * stride - padding.y + [0, kernel.y). What of it lies outside
// the image takes no part.
//! alias T

struct Params {
  count: u32,
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
  kernel: vec2<u32>,
  padding: vec2<u32>,
  stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

// Rows and columns inside the image, `end` excluded.
struct Window {
  batch: u32,
  channel: u32,
  first: vec2<u32>,
  end: vec2<u32>,
}

// The window of element i of y.
fn window_of(i: u32) -> Window {
  let pixel = i / params.channels;
  let line = pixel / params.out_width;
  let origin = vec2(line % params.out_height, pixel % params.out_width) * params.stride;
  let first = max(origin, params.padding) - params.padding;
  let end = min(origin + params.kernel - params.padding, vec2(params.height, params.width));
  return Window(line / params.out_height, i % params.channels, first, end);
}

// An element of the window.
fn load_input(window: Window, row: u32, column: u32) -> f32 {
  return f32(x[((window.batch * params.height + row) * params.width + column) * params.channels + window.channel]);
}
