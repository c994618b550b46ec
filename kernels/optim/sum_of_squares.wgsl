// sum of squares, 1 of 2: parts[first + k] = sum of x[i]^2 over block k: every K-th run of WORKGROUP elements
//
// x     [count] f32
// parts [P] f32: this tensor's K parts start at `first`
// One workgroup a part. Workgroup memory 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/reduce.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  blocks: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let block = flat_workgroup(workgroup, workgroups);
  var part = 0.0;
  for (var i = block * WORKGROUP + local; i < params.count; i += params.blocks * WORKGROUP) {
    part += x[i] * x[i];
  }
  let sum = workgroup_sum(part, local);
  if (local == 0u && block < params.blocks) {
    parts[params.first + block] = sum;
  }
}
