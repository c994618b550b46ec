// KL loss, 1 of 2: part[k] = sum of mean^2 + exp(logvar) - 1 - logvar over block k: every K-th run of WORKGROUP elements
// logvar is clamped to [-30, 20], as in diffusers' DiagonalGaussianDistribution.
//
// mean, logvar [count] storage type T
// parts        [K] f32
// One workgroup a part. Accumulators f32; workgroup memory 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/logvar.wgsl
//! include lib/reduce.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<T>;
@group(0) @binding(2) var<storage, read> logvar: array<T>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_workgroup(workgroup, workgroups);
  var part = 0.0;
  for (var i = index * WORKGROUP + local; i < params.count; i += params.blocks * WORKGROUP) {
    let m = f32(mean[i]);
    let l = clamp_logvar(f32(logvar[i]));
    part += m * m + exp(l) - 1.0 - l;
  }
  let sum = workgroup_sum(part, local);
  if (local == 0u && index < params.blocks) {
    parts[index] = sum;
  }
}
