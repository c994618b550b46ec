// group norm, 3 of 3: y[b, s, c] = (x[b, s, c] - mean_bg) * inverse deviation_bg * weight[c] + bias[c]
// SILU applies y * sigmoid(y) after it.
//
// x            [B, S, C1] storage type T: one input of those that are normalised together
// statistics   [B, G, 2] f32: mean, inverse deviation
// weight, bias [C] storage type W
// y            [B, S, C] storage type T: this input's channels start at quad first_quad
// One invocation four adjacent channels of a chunk of positions; C1, C and the first channel are multiples of 4.
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SILU: bool = false;

struct Params {
  count: u32,
  positions: u32,
  chunk: u32,
  chunks: u32,
  quads: u32,
  all_quads: u32,
  first_quad: u32,
  groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> weight: array<W4>;
@group(0) @binding(4) var<storage, read> bias: array<W4>;
@group(0) @binding(5) var<storage, read_write> y: array<T4>;

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
  let quad = index % params.quads;
  let slot = index / params.quads;
  let b = slot / params.chunks;
  let start = slot % params.chunks * params.chunk;
  let rows = min(params.chunk, params.positions - start);
  let first = b * params.positions + start;
  let out_quad = params.first_quad + quad;
  let width = 4u * params.all_quads / params.groups;
  let group = b * params.groups + (4u * out_quad + vec4(0u, 1u, 2u, 3u)) / width;
  let s0 = statistics[group.x];
  let s1 = statistics[group.y];
  let s2 = statistics[group.z];
  let s3 = statistics[group.w];
  let mean = vec4(s0.x, s1.x, s2.x, s3.x);
  let scale = vec4(s0.y, s1.y, s2.y, s3.y) * vec4<f32>(weight[out_quad]);
  let offset = vec4<f32>(bias[out_quad]);
  for (var row = first; row < first + rows; row++) {
    var value = (vec4<f32>(x[row * params.quads + quad]) - mean) * scale + offset;
    if (SILU) {
      value /= 1.0 + exp(min(-value, vec4(80.0))); // the bound keeps exp finite
    }
    y[row * params.all_quads + out_quad] = T4(value);
  }
}
