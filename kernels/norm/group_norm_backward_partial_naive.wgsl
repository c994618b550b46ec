// group norm backward, 1 of 3: sums of every channel over chunks of positions
//   dbias part[b, k, c] = sum of g[b, s, c], dweight part[b, k, c] = sum of g[b, s, c] * h[b, s, c] over s in chunk k
//   h = (x - mean_bg) * inverse deviation_bg, g = dy, or dy * silu'(h * weight + bias) where SILU
//
// x            [B, S, C1] storage type T: one input of those that were normalised together
// dy           [B, S, C] storage type T: this input's channels start at column first_column
// statistics   [B, G, 2] f32: mean, inverse deviation
// weight, bias [C] storage type W
// sums         [B, K, 2, C] f32: dbias parts, dweight parts
// One invocation a column (channel) of a chunk: the second opinion for group_norm_backward_partial.wgsl, and for any C.
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
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<W>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

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
  let group = b * params.groups + out_column / (params.all_columns / params.groups);
  let mean = statistics[group].x;
  let scale = statistics[group].y;
  let gain = f32(weight[out_column]);
  let offset = f32(bias[out_column]);
  var dbias = 0.0;
  var dweight = 0.0;
  for (var row = first; row < first + rows; row++) {
    let h = (f32(x[row * params.columns + column]) - mean) * scale;
    var g = f32(dy[row * params.all_columns + out_column]);
    if (SILU) {
      g *= silu_slope(h * gain + offset);
    }
    dbias += g;
    dweight += g * h;
  }
  sums[2u * slot * params.all_columns + out_column] = dbias;
  sums[(2u * slot + 1u) * params.all_columns + out_column] = dweight;
}
