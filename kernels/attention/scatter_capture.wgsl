// scatter capture: maps[slot[b], i] = captured[b, s, i], the map of one token set of every item into its own place
//
// captured [B, S, Nq], maps [slots, Nq] f32
// slots    [B] where each item's map goes; 0xffffffff drops it
// One invocation an element of one set.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  batch: u32,
  sets: u32,
  token_set: u32,
  queries: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> captured: array<f32>;
@group(0) @binding(2) var<storage, read> slots: array<u32>;
@group(0) @binding(3) var<storage, read_write> maps: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let item = index / params.queries;
  let query = index % params.queries;
  if (item < params.batch && slots[item] != 0xffffffffu) {
    maps[slots[item] * params.queries + query] = captured[(item * params.sets + params.token_set) * params.queries + query];
  }
}
