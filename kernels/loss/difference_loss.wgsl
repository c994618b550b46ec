// difference loss, 1 of 2: part[b, k] = weights[b] * sum of d^2, or of |d| where ABSOLUTE, d = prediction - target,
// over block k of item b: every K-th run of WORKGROUP elements. Without HAS_WEIGHTS all weights are 1.
//
// prediction [B, item_size] storage type T, targets the same of storage type W
// weights    [B] f32
// parts      [B, K] f32
// One workgroup a part. Accumulators f32; workgroup memory 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/reduce.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override ABSOLUTE: bool = false;
override HAS_WEIGHTS: bool = false;

struct Params {
  count: u32,
  item_size: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> prediction: array<T>;
@group(0) @binding(2) var<storage, read> targets: array<W>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_workgroup(workgroup, workgroups);
  let b = index / params.blocks;
  let base = b * params.item_size;
  let end = select(0u, params.item_size, index < params.count);
  var part = 0.0;
  for (var i = index % params.blocks * WORKGROUP + local; i < end; i += params.blocks * WORKGROUP) {
    let d = f32(prediction[base + i]) - f32(targets[base + i]);
    part += select(d * d, abs(d), ABSOLUTE);
  }
  var sum = workgroup_sum(part, local);
  if (HAS_WEIGHTS) {
    sum *= weights[b];
  }
  if (local == 0u && index < params.count) {
    parts[index] = sum;
  }
}
