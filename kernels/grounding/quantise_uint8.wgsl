// quantise to uint8: y[i] = trunc(255 x[i]), for x in [0, 1]
//
// x, y [count]; y holds whole numbers
// HALF: 255 x is rounded to half first, as of a float16 tensor.
// One invocation an element.
//! include lib/fold.wgsl
//! include lib/half.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
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
  let i = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (i < params.count) {
    y[i] = trunc(rounded(255.0 * x[i]));
  }
}
