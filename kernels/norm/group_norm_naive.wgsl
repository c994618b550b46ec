// group norm: y[b, s, c] = (in[b, s, c] - mean_bg) / sqrt(var_bg + eps) * weight[c] + bias[c], g = c / (C / G)
// in = concatenation of x and skip along the channels; var is the biased variance over the S * C / G values of a
// group (torch.nn.GroupNorm). SILU applies y * sigmoid(y) after it.
//
// x      [B, S, C1], skip [B, S, C2], y [B, S, C] with C = C1 + C2, storage type T
// weight [C], bias [C] storage type W
// statistics [B, G, 2] f32: mean and 1 / sqrt(var + eps) of every group, where SAVE_STATISTICS
// One invocation a (batch, group), sums in f32 around the first value, mean before centred squares: the second opinion
// for group_norm_*.wgsl.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SILU: bool = false;
override SAVE_STATISTICS: bool = false;

struct Params {
  batches: u32,
  positions: u32,
  c1: u32,
  c2: u32,
  groups: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> skip: array<T>;
@group(0) @binding(3) var<storage, read> weight: array<W>;
@group(0) @binding(4) var<storage, read> bias: array<W>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;
@group(0) @binding(6) var<storage, read_write> statistics: array<vec2<f32>>;

// `position` counts over batch and space.
fn input(position: u32, c: u32) -> f32 {
  if (c < params.c1) {
    return f32(x[position * params.c1 + c]);
  }
  return f32(skip[position * params.c2 + c - params.c1]);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.batches * params.groups) {
    return;
  }
  let C = params.c1 + params.c2;
  let width = C / params.groups;
  let first = index % params.groups * width;
  let start = index / params.groups * params.positions;
  let end = start + params.positions;
  let count = f32(params.positions * width);
  let shift = input(start, first);
  var sum = 0.0;
  for (var position = start; position < end; position++) {
    for (var c = first; c < first + width; c++) {
      sum += input(position, c) - shift;
    }
  }
  let mean = shift + sum / count;
  var squares = 0.0;
  for (var position = start; position < end; position++) {
    for (var c = first; c < first + width; c++) {
      let centred = input(position, c) - mean;
      squares += centred * centred;
    }
  }
  let scale = inverseSqrt(squares / count + params.eps);
  for (var position = start; position < end; position++) {
    for (var c = first; c < first + width; c++) {
      let normalised = (input(position, c) - mean) * scale * f32(weight[c]) + f32(bias[c]);
      y[position * C + c] = T(select(normalised, silu(normalised), SILU));
    }
  }
  if (SAVE_STATISTICS) {
    statistics[index] = vec2(mean, scale);
  }
}
