// group norm backward, 2 of 3: what dx loses through mean and deviation of its group
//   m[b, g] = mean of dbias[b, c] * weight[c], n[b, g] = mean of dweight[b, c] * weight[c], over c in g and S positions
//
// sums   [B, 2, C] f32: dbias, dweight of every batch item
// weight [C] storage type W
// means  [B, G, 2] f32: m, n
// One invocation a (batch, group).
//! include lib/fold.wgsl
//! alias W
override WORKGROUP: u32 = 8;

struct Params {
  count: u32,
  positions: u32,
  channels: u32,
  groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<W>;
@group(0) @binding(3) var<storage, read_write> means: array<vec2<f32>>;

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
  let C = params.channels;
  let width = C / params.groups;
  let first = index % params.groups * width;
  let base = 2u * (index / params.groups) * C;
  var sum = vec2<f32>();
  for (var c = first; c < first + width; c++) {
    sum += f32(weight[c]) * vec2(sums[base + c], sums[base + C + c]);
  }
  means[index] = sum / f32(params.positions * width);
}
