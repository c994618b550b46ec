// layer norm: y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) * weight[c] + bias[c]
// var is the biased variance over C (torch.nn.LayerNorm).
//
// x, y   [R, C] storage type T
// weight [C], bias [C] storage type W; C is a multiple of 4
// statistics [R, 2] f32: mean and 1 / sqrt(var + eps) of every row, where SAVE_STATISTICS
// One subgroup of any size a row at a time, its lanes stride over quads of channels. Mean first, then the centred
// squares: no cancellation. Accumulators f32; no workgroup memory. Needs the feature subgroups.
enable subgroups;
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SAVE_STATISTICS: bool = false;

struct Params {
  rows: u32,
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read> weight: array<W4>;
@group(0) @binding(3) var<storage, read> bias: array<W4>;
@group(0) @binding(4) var<storage, read_write> y: array<T4>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec2<f32>>;

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
    var sum = vec4<f32>();
    for (var quad = lane; quad < quads; quad += lanes) {
      sum += vec4<f32>(x[base + quad]);
    }
    let mean = subgroupAdd(dot(sum, vec4(1.0))) / C;
    var squares = vec4<f32>();
    for (var quad = lane; quad < quads; quad += lanes) {
      let centred = vec4<f32>(x[base + quad]) - mean;
      squares += centred * centred;
    }
    let scale = inverseSqrt(subgroupAdd(dot(squares, vec4(1.0))) / C + params.eps);
    for (var quad = lane; quad < quads; quad += lanes) {
      let normalised = (vec4<f32>(x[base + quad]) - mean) * scale;
      y[base + quad] = T4(normalised * vec4<f32>(weight[quad]) + vec4<f32>(bias[quad]));
    }
    if (SAVE_STATISTICS && lane == 0u) {
      statistics[row] = vec2(mean, scale);
    }
  }
}
