// Flat indices over a grid that the host folded over x and y (more than 65,535 workgroups in one dimension).

fn flat_workgroup(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
  return workgroup.x + workgroup.y * workgroups.x;
}

// Index of the invocation over all workgroups of `size` invocations.
fn flat_invocation(workgroup: vec3<u32>, workgroups: vec3<u32>, local: u32, size: u32) -> u32 {
  return flat_workgroup(workgroup, workgroups) * size + local;
}

// All workgroups: the step of a loop in which each takes every so-many-th piece of work.
fn workgroup_count(workgroups: vec3<u32>) -> u32 {
  return workgroups.x * workgroups.y;
}
