// accumulate capture: sink[p, s, i] += sum over the items b of context p of item_weights[b] * captured[b, s, i]
//
// sink [P, S, Nq], captured [B, S, Nq], item_weights [B] f32
// context_of [B]; without it p = b * context_step
// One invocation an element of sink; items in ascending order, one addition after the other from the value that is
// there, so that a batch split over several calls gives the same bits. A dispatch of its own: inside the attention each
// workgroup would have to go through a phrase's items one after the other, which leaves a device idle, to save 0.2 %.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;
override HAS_CONTEXT_OF: bool = false;

struct Params {
  count: u32,
  map: u32,
  batch: u32,
  context_step: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> captured: array<f32>;
@group(0) @binding(2) var<storage, read> item_weights: array<f32>;
@group(0) @binding(3) var<storage, read> context_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> sink: array<f32>;

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
  let context = index / params.map;
  let element = index % params.map;
  var sum = sink[index];
  for (var item = 0u; item < params.batch; item++) {
    var item_context = item * params.context_step;
    if (HAS_CONTEXT_OF) {
      item_context = context_of[item];
    }
    if (item_context == context) {
      sum += item_weights[item] * captured[item * params.map + element];
    }
  }
  sink[index] = sum;
}
