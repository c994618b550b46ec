// gradient weight: the weight with which a convolution of dy gives the gradient of the convolution's input
//
// turned[my, mx, n, c] = sum_{ay, ax < block} weight[origin.x + ay - my * stride, origin.y + ax - mx * stride, first + c, n]
// with zero for taps that the weight does not have. Stride 1: the flipped kernel with inputs and outputs exchanged. An
// input pixel that was nearest-upsampled by `block` collects the taps of all its copies.
//
// weight   [kh, kw, Cin, N] storage type W
// turned   [mh, mw, N, C] storage type T, of C channels of the input from `first` on
// One invocation four n of one c; neighbouring invocations write neighbouring c. Sums in f32.
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;

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
@group(0) @binding(2) var<storage, read_write> turned: array<T>;

// Four columns from n on of row `row` of a tap. Columns past the end repeat the last one; they are not stored.
fn load_columns(tap: u32, row: u32, n: u32) -> vec4<f32> {
  let at = (tap * params.c_in + row) * params.N + min(vec4(n, n + 1, n + 2, n + 3), vec4(params.N - 1));
  return vec4(f32(weight[at.x]), f32(weight[at.y]), f32(weight[at.z]), f32(weight[at.w]));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let c = index % params.channels;
  let groups = (params.N + 3) / 4;
  let n = index / params.channels % groups * 4;
  let tap = index / (params.channels * groups);
  if (tap >= params.taps.x * params.taps.y) {
    return;
  }
  let start = params.origin - vec2<i32>(vec2(tap / params.taps.y, tap % params.taps.y)) * params.stride;
  var sum = vec4(0.0);
  for (var ay = 0; ay < params.block; ay++) {
    for (var ax = 0; ax < params.block; ax++) {
      // A tap above or left of the kernel wraps to a huge number and fails the comparison as well.
      let at = vec2<u32>(start + vec2(ay, ax));
      if (all(at < params.kernel)) {
        sum += load_columns(at.x * params.kernel.y + at.y, params.first + c, n);
      }
    }
  }
  for (var j = 0u; j < 4 && n + j < params.N; j++) {
    turned[(tap * params.N + n + j) * params.channels + c] = T(sum[j]);
  }
}
