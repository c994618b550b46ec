// positions that skip padding (transformers' create_position_ids_from_input_ids, of RoBERTa):
//   y[b, n] = padding + the number of ids other than padding in ids[b, 0..n], or padding where ids[b, n] is padding
//
// ids [B, N]
// y   [B, N]
// One invocation a position, which counts those before it.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  length: u32,
  padding: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (i >= params.count) {
    return;
  }
  var position = params.padding;
  if (ids[i] != params.padding) {
    for (var m = i - i % params.length; m <= i; m++) {
      position += select(0u, 1u, ids[m] != params.padding);
    }
  }
  y[i] = position;
}
