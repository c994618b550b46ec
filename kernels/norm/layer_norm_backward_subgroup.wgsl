// layer norm backward: dx[r, c] = inverse deviation_r * (g[r, c] - mean_c g[r] - h[r, c] * mean_c (g[r] * h[r]))
// g = dy * weight, h = (x - mean_r) * inverse deviation_r
//
// x, dy, dx  [R, C] storage type T
// statistics [R, 2] f32: mean, inverse deviation
// weight     [C] storage type W; C is a multiple of 4
// One subgroup of any size a row at a time, its lanes stride over quads of channels. Accumulators f32; no workgroup
// memory. Needs the feature subgroups.
enable subgroups;
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read> dy: array<T4>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<W4>;
@group(0) @binding(5) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(num_subgroups) subgroups: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let C = f32(params.channels);
  let quads = params.channels / 4u;
  let step = workgroup_count(workgroups) * subgroups;
  for (var row = flat_workgroup(workgroup, workgroups) * subgroups + subgroup; row < params.rows; row += step) {
    let base = row * quads;
    let mean = statistics[row].x;
    let scale = statistics[row].y;
    var sum = vec4<f32>();
    var product = vec4<f32>();
    for (var quad = lane; quad < quads; quad += lanes) {
      let g = vec4<f32>(dy[base + quad]) * vec4<f32>(weight[quad]);
      sum += g;
      product += g * (vec4<f32>(x[base + quad]) - mean);
    }
    let mean_g = subgroupAdd(dot(sum, vec4(1.0))) / C;
    let mean_gh = subgroupAdd(dot(product, vec4(1.0))) * scale / C;
    for (var quad = lane; quad < quads; quad += lanes) {
      let g = vec4<f32>(dy[base + quad]) * vec4<f32>(weight[quad]);
      let h = (vec4<f32>(x[base + quad]) - mean) * scale;
      dx[base + quad] = T4(scale * (g - mean_g - h * mean_gh));
    }
  }
}
