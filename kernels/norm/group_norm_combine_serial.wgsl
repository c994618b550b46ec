// group norm, 2 of 3: mean and 1 / sqrt(var + eps) of every group from its channels' and chunks' partial sums
//
// mean, squares [B, K, C] f32, of chunks of `chunk` positions (the last may be shorter) of S
// statistics    [B, G, 2] f32: mean, inverse deviation
// One invocation a (batch, group), for devices where barriers are dear; first the mean, then the squares around it:
// no cancellation.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 8;

struct Params {
  count: u32,
  positions: u32,
  chunk: u32,
  chunks: u32,
  channels: u32,
  groups: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<f32>;

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
  let width = params.channels / params.groups;
  let base = index / params.groups * params.chunks * params.channels + index % params.groups * width;
  let shift = mean[base];
  var sum = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let rows = min(params.chunk, params.positions - chunk * params.chunk);
    let row = base + chunk * params.channels;
    for (var at = row; at < row + width; at++) {
      sum += f32(rows) * (mean[at] - shift);
    }
  }
  let size = f32(params.positions * width);
  let group_mean = shift + sum / size;
  var centred = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let rows = min(params.chunk, params.positions - chunk * params.chunk);
    let row = base + chunk * params.channels;
    for (var at = row; at < row + width; at++) {
      let difference = mean[at] - group_mean;
      centred += squares[at] + f32(rows) * difference * difference;
    }
  }
  statistics[2u * index] = group_mean;
  statistics[2u * index + 1u] = inverseSqrt(centred / size + params.eps);
}
