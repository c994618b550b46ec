// gradient weight: the weight with which a convolution of dy gives the gradient of the convolution's input
//
// turned[my, mx, n, c] = sum_{ay, ax < block} weight[origin.x + ay - my * stride, origin.y + ax - mx * stride, first + c, n]
// with zero for taps that the weight does not have. Stride 1: the flipped kernel with inputs and outputs exchanged. An
// input pixel that was nearest-upsampled by `block` collects the taps of all its copies.
//
// weight   [kh, kw, Cin, N] storage type W; weight4 and turned4 the same by fours, bound instead where QUADS (N and C
//          multiples of 4)
// turned   [mh, mw, N, C] storage type T, of C channels of the input from `first` on
// A workgroup turns a tile of 32 n by 32 c of one tap, an invocation four by four of it: every cache line is read and
// written whole by neighbours. Sums in f32.
//! include lib/fold.wgsl
//! alias T
//! alias W
override QUADS: bool = false;

struct Params {
  kernel: vec2<u32>,
  c_in: u32,
  N: u32,
  taps: vec2<u32>,
  first: u32,
  channels: u32,
  origin: vec2<i32>,
  stride: i32,
  block: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<W>;
@group(0) @binding(2) var<storage, read> weight4: array<W4>;
@group(0) @binding(3) var<storage, read_write> turned: array<T>;
@group(0) @binding(4) var<storage, read_write> turned4: array<T4>;

// Four columns from n on of row c of a tap. What lies past the end repeats the last; it is not stored.
fn load_columns(tap: u32, c: u32, n: u32) -> vec4<f32> {
  let row = params.first + min(c, params.channels - 1);
  if (QUADS) {
    return vec4<f32>(weight4[((tap * params.c_in + row) * params.N + n) / 4]);
  }
  let at = (tap * params.c_in + row) * params.N + min(vec4(n, n + 1, n + 2, n + 3), vec4(params.N - 1));
  return vec4(f32(weight[at.x]), f32(weight[at.y]), f32(weight[at.z]), f32(weight[at.w]));
}

// Stores what of four channels from c on the input has.
fn store_channels(at: u32, c: u32, values: vec4<f32>) {
  if (QUADS) {
    turned4[at / 4] = T4(values);
    return;
  }
  for (var i = 0u; i < 4 && c + i < params.channels; i++) {
    turned[at + i] = T(values[i]);
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tiles = (vec2(params.N, params.channels) + 31) / 32;
  let tile = flat_workgroup(workgroup, workgroups);
  let n = (tile % tiles.x * 8 + local % 8) * 4;
  let c = (tile / tiles.x % tiles.y * 8 + local / 8) * 4;
  let tap = tile / (tiles.x * tiles.y);
  if (tap >= params.taps.x * params.taps.y || n >= params.N || c >= params.channels) {
    return;
  }
  let start = params.origin - vec2<i32>(vec2(tap / params.taps.y, tap % params.taps.y)) * params.stride;
  var sums: mat4x4<f32>;
  for (var ay = 0; ay < params.block; ay++) {
    for (var ax = 0; ax < params.block; ax++) {
      // A tap above or left of the kernel wraps to a huge number and fails the comparison as well.
      let at = vec2<u32>(start + vec2(ay, ax));
      if (all(at < params.kernel)) {
        let source = at.x * params.kernel.y + at.y;
        sums += mat4x4(load_columns(source, c, n), load_columns(source, c + 1, n), load_columns(source, c + 2, n), load_columns(source, c + 3, n));
      }
    }
  }
  let rows = transpose(sums);
  let first = (tap * params.N + n) * params.channels + c;
  store_channels(first, c, rows[0]);
  if (n + 1 < params.N) {
    store_channels(first + params.channels, c, rows[1]);
  }
  if (n + 2 < params.N) {
    store_channels(first + 2 * params.channels, c, rows[2]);
  }
  if (n + 3 < params.N) {
    store_channels(first + 3 * params.channels, c, rows[3]);
  }
}
