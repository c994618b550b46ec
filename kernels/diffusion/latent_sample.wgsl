// latent sample: y[b, n] = (mean[item, n] + exp(logvar[item, n] / 2) * noise[b, n]) * scaling_factor
// logvar is clamped to [-30, 20]; item = item_of[b] where HAS_ITEM_OF, else b or (mean_step 0) the only item of mean.
//
// mean, logvar [Bm, item_size], noise and y [B, item_size] storage type T; item_of [B]
// Each invocation strides over the elements of y; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/logvar.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override HAS_ITEM_OF: bool = false;

struct Params {
  count: u32,
  item_size: u32,
  mean_step: u32,
  scaling_factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<T>;
@group(0) @binding(2) var<storage, read> logvar: array<T>;
@group(0) @binding(3) var<storage, read> noise: array<T>;
@group(0) @binding(4) var<storage, read> item_of: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let b = i / params.item_size;
    var item = b * params.mean_step;
    if (HAS_ITEM_OF) {
      item = item_of[b];
    }
    let source = item * params.item_size + i % params.item_size;
    let deviation = exp(0.5 * clamp_logvar(f32(logvar[source])));
    y[i] = T((f32(mean[source]) + deviation * f32(noise[i])) * params.scaling_factor);
  }
}
