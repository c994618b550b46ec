// layer norm backward: dx[r, c] = inverse deviation_r * (g[r, c] - mean_c g[r] - h[r, c] * mean_c (g[r] * h[r]))
// g = dy * weight, h = (x - mean_r) * inverse deviation_r
//
// x, dy, dx  [R, C] storage type T
// statistics [R, 2] f32: mean, inverse deviation
// weight     [C] storage type W
// One workgroup a row at a time; each invocation strides over the channels. Accumulators f32; workgroup memory
// 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/reduce.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let C = params.channels;
  let step = workgroup_count(workgroups);
  for (var row = flat_workgroup(workgroup, workgroups); row < params.rows; row += step) {
    let base = row * C;
    let mean = statistics[row].x;
    let scale = statistics[row].y;
    var sum = 0.0;
    var product = 0.0;
    for (var c = local; c < C; c += WORKGROUP) {
      let g = f32(dy[base + c]) * f32(weight[c]);
      sum += g;
      product += g * (f32(x[base + c]) - mean) * scale;
    }
    let mean_g = workgroup_sum(sum, local) / f32(C);
    let mean_gh = workgroup_sum(product, local) / f32(C);
    for (var c = local; c < C; c += WORKGROUP) {
      let g = f32(dy[base + c]) * f32(weight[c]);
      let h = (f32(x[base + c]) - mean) * scale;
      dx[base + c] = T(scale * (g - mean_g - h * mean_gh));
    }
  }
}
