// group norm, 2 of 3: mean and 1 / sqrt(var + eps) of every group from its channels' and chunks' partial sums
//
// mean, squares [B, K, C] f32, of chunks of `chunk` positions (the last may be shorter) of S
// statistics    [B, G, 2] f32: mean, inverse deviation
// One workgroup a (batch, group); first the mean, then the squares around it: no cancellation. Workgroup memory
// 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/reduce.wgsl
override WORKGROUP: u32 = 64;

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
  let index = flat_workgroup(workgroup, workgroups);
  let width = params.channels / params.groups;
  let base = index / params.groups * params.chunks * params.channels + index % params.groups * width;
  let entries = select(0u, params.chunks * width, index < params.count);
  let shift = mean[base];
  var sum = 0.0;
  for (var entry = local; entry < entries; entry += WORKGROUP) {
    let chunk = entry / width;
    let rows = min(params.chunk, params.positions - chunk * params.chunk);
    sum += f32(rows) * (mean[base + chunk * params.channels + entry % width] - shift);
  }
  let size = f32(params.positions * width);
  let group_mean = shift + workgroup_sum(sum, local) / size;
  var centred = 0.0;
  for (var entry = local; entry < entries; entry += WORKGROUP) {
    let chunk = entry / width;
    let rows = min(params.chunk, params.positions - chunk * params.chunk);
    let at = base + chunk * params.channels + entry % width;
    let difference = mean[at] - group_mean;
    centred += squares[at] + f32(rows) * difference * difference;
  }
  let variance = workgroup_sum(centred, local) / size;
  if (local == 0u && index < params.count) {
    statistics[2u * index] = group_mean;
    statistics[2u * index + 1u] = inverseSqrt(variance + params.eps);
  }
}
