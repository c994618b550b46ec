// latent sample backward: dlogvar[i] = dy[i] * scaling_factor * noise[i] * exp(logvar[i] / 2) / 2
// 0 where logvar is outside [-30, 20], to which the sample clamps it.
//
// dy, logvar, noise, dlogvar [count] storage type T
// Each invocation strides over the elements; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/logvar.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  scaling_factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read> logvar: array<T>;
@group(0) @binding(3) var<storage, read> noise: array<T>;
@group(0) @binding(4) var<storage, read_write> dlogvar: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let l = f32(logvar[i]);
    let slope = 0.5 * params.scaling_factor * f32(noise[i]) * exp(0.5 * clamp_logvar(l));
    dlogvar[i] = T(select(0.0, f32(dy[i]) * slope, is_inside_clamp(l)));
  }
}
