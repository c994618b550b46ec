// cross entropy backward: dlogits[n, v] = dloss * share * (exp(logits[n, v] - lse[n]) - (1 where v is targets[n], else 0))
// 0 in rows whose target is `ignored`.
//
// logits, dlogits [N, V] storage type T
// targets [N], lse [N] f32; dloss, share [1] f32
// One workgroup a row at a time, its invocations stride over the columns; arithmetic in f32.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  columns: u32,
  ignored: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<T>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read> share: array<f32>;
@group(0) @binding(5) var<storage, read> dloss: array<f32>;
@group(0) @binding(6) var<storage, read_write> dlogits: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups);
  for (var n = flat_workgroup(workgroup, workgroups); n < params.rows; n += step) {
    let target_column = targets[n];
    let factor = select(dloss[0] * share[0], 0.0, target_column == params.ignored);
    for (var v = local; v < params.columns; v += WORKGROUP) {
      let i = n * params.columns + v;
      let probability = exp(f32(logits[i]) - lse[n]);
      dlogits[i] = T(factor * (probability - select(0.0, 1.0, v == target_column)));
    }
  }
}
