// embedding backward, 1 of 2: the positions that hold the same id, as linked lists in order
//   links[n] = (next, first): the next position with the id of n, or N; 1 where no earlier position has it, else 0
//
// ids   [N]
// links [N, 2]
// One invocation a position, which looks at all others.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> links: array<vec2<u32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let n = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (n >= params.count) {
    return;
  }
  let id = ids[n];
  var next = n + 1u;
  while (next < params.count && ids[next] != id) {
    next++;
  }
  var earlier = 0u;
  while (earlier < n && ids[earlier] != id) {
    earlier++;
  }
  links[n] = vec2(next, select(0u, 1u, earlier == n));
}
