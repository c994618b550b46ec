// lanes: what kernels take for granted of subgroups
//   lanes[i] = (subgroup size, lane, value of the neighbour lane ^ 1 by shuffle, sum over the subgroup)
//
// lanes [workgroups * WORKGROUP] vec4<u32>; the value of an invocation is its local index + 1
// Needs the feature subgroups.
enable subgroups;
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

@group(0) @binding(1) var<storage, read_write> lanes: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let value = local + 1u;
  lanes[flat_invocation(workgroup, workgroups, local, WORKGROUP)] = vec4(size, lane, subgroupShuffle(value, lane ^ 1u), subgroupAdd(value));
}
