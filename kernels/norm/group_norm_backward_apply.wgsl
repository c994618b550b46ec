// group norm backward, 3 of 3: dx[b, s, c] = inverse deviation_bg * (g[b, s, c] * weight[c] - m_bg - h[b, s, c] * n_bg)
//   h = (x - mean_bg) * inverse deviation_bg, g = dy, or dy * silu'(h * weight + bias) where SILU
//
// x, dx        [B, S, C1] storage type T: one input of those that were normalised together
// dy           [B, S, C] storage type T: this input's channels start at column first_column
// statistics   [B, G, 2] f32: mean, inverse deviation
// means        [B, G, 2] f32: m, n
// weight, bias [C] storage type W
// One invocation a column (four adjacent channels) of a chunk; C1, C and the first channel are multiples of 4.
//! include lib/fold.wgsl
//! include lib/silu_slope.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SILU: bool = false;

struct Params {
  count: u32,
  positions: u32,
  chunk: u32,
  chunks: u32,
  columns: u32,
  all_columns: u32,
  first_column: u32,
  groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read> dy: array<T4>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<W4>;
@group(0) @binding(5) var<storage, read> bias: array<W4>;
@group(0) @binding(6) var<storage, read> means: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.count) {
    return;
  }
  let column = index % params.columns;
  let slot = index / params.columns;
  let b = slot / params.chunks;
  let start = slot % params.chunks * params.chunk;
  let rows = min(params.chunk, params.positions - start);
  let first = b * params.positions + start;
  let out_column = params.first_column + column;
  let width = 4u * params.all_columns / params.groups;
  let group = b * params.groups + (4u * out_column + vec4(0u, 1u, 2u, 3u)) / width;
  let s0 = statistics[group.x];
  let s1 = statistics[group.y];
  let s2 = statistics[group.z];
  let s3 = statistics[group.w];
  let mean = vec4(s0.x, s1.x, s2.x, s3.x);
  let scale = vec4(s0.y, s1.y, s2.y, s3.y);
  let m0 = means[group.x];
  let m1 = means[group.y];
  let m2 = means[group.z];
  let m3 = means[group.w];
  let m = vec4(m0.x, m1.x, m2.x, m3.x);
  let n = vec4(m0.y, m1.y, m2.y, m3.y);
  let gain = vec4<f32>(weight[out_column]);
  let offset = vec4<f32>(bias[out_column]);
  for (var row = first; row < first + rows; row++) {
    let at = row * params.columns + column;
    let h = (vec4<f32>(x[at]) - mean) * scale;
    var g = vec4<f32>(dy[row * params.all_columns + out_column]);
    if (SILU) {
      g *= silu_slope4(h * gain + offset);
    }
    dx[at] = T4(scale * (g * gain - m - h * n));
  }
}
