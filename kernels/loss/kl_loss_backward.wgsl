// KL loss backward: dmean = dloss * factor * 2 mean, dlogvar = dloss * factor * (exp(logvar) - 1)
// factor is 0.5 / B; dlogvar is 0 where logvar is outside [-30, 20], to which the loss clamps it.
//
// mean, logvar, dmean, dlogvar [count] storage type T
// dloss [1] f32
// Each invocation strides over the elements; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/logvar.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<T>;
@group(0) @binding(2) var<storage, read> logvar: array<T>;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dmean: array<T>;
@group(0) @binding(5) var<storage, read_write> dlogvar: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let factor = dloss[0] * params.factor;
    let l = f32(logvar[i]);
    let inside = is_inside_clamp(l);
    dmean[i] = T(factor * 2.0 * f32(mean[i]));
    dlogvar[i] = T(select(0.0, factor * (exp(clamp_logvar(l)) - 1.0), inside));
  }
}
