// weight gradient: sums[i, ky, kx, c, n] = scale * sum_m in[i, m, ky, kx, c] * dy[i, m, n]
// in = the input pixel that output pixel m of a convolution multiplies with weight[ky, kx, c, n]: of the concatenation
// of x and skip along the channels, nearest-upsampled by 2 where UPSAMPLE is 2, zero outside. A product of matrices is a
// convolution of a 1x1 kernel, of one item or, with one sample an item, of many.
//
// x        [I * B, H, W, C1], skip [I * B, H, W, C2], dy [I * B, Ho, Wo, N] storage type T; m runs over B samples
// sums     f32 [I, kh, kw, C1 + C2, N]
// One invocation an element of the sums, in f32 in the order of m: the second opinion for the fast kernels.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override HAS_SKIP: bool = false;
override UPSAMPLE: u32 = 1;

struct Params {
  items: u32,
  positions: u32,
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
@group(0) @binding(2) var<storage, read> skip: array<T>;
@group(0) @binding(3) var<storage, read> dy: array<T>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

fn load_channel(pixel: u32, channel: u32) -> f32 {
  if (HAS_SKIP && channel >= params.c1) {
    return f32(skip[pixel * params.c2 + channel - params.c1]);
  }
  return f32(x[pixel * params.c1 + channel]);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let channels = params.c1 + params.c2;
  let taps = params.kernel.x * params.kernel.y;
  if (index >= params.items * taps * channels * params.N) {
    return;
  }
  let n = index % params.N;
  let c = index / params.N % channels;
  let tap = index / (params.N * channels) % taps;
  let start = index / (params.N * channels * taps) * params.positions;
  let bounds = vec2(params.height, params.width) * UPSAMPLE;
  var sum = 0.0;
  for (var m = start; m < start + params.positions; m++) {
    let line = m / params.out_width;
    let origin = vec2(line % params.out_height, m % params.out_width) * params.stride;
    // A position above or left of the image wraps to a huge number and fails the comparison as well.
    let at = origin + vec2(tap / params.kernel.y, tap % params.kernel.y) - params.padding;
    if (all(at < bounds)) {
      let pixel = (line / params.out_height * params.height + at.x / UPSAMPLE) * params.width + at.y / UPSAMPLE;
      sum = fma(load_channel(pixel, c), f32(dy[m * params.N + n]), sum);
    }
  }
  sums[index] = params.scale * sum;
}
