// upsample add: y[p, i, j] = scale * x[p, floor(i / f), floor(j / f)], added to y where ACCUMULATE
//
// x [P, r, r], y [P, f r, f r]: nearest repetition by f
// One invocation an element of y.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;
override ACCUMULATE: bool = false;

struct Params {
  count: u32,
  side: u32,
  factor: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
  let r = params.side;
  let R = r * params.factor;
  let j = index % R / params.factor;
  let i = index / R % R / params.factor;
  let p = index / (R * R);
  var value = params.scale * x[(p * r + i) * r + j];
  if (ACCUMULATE) {
    value += y[index];
  }
  y[index] = value;
}
