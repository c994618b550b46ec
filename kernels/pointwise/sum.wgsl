// sum: y[0] = factor * sum of x[i]
//
// x [count], y [1] f32
// One workgroup, whose invocations stride over the elements: the last pass of a reduction, in a fixed order. Workgroup
// memory 4 * WORKGROUP bytes.
//! include lib/reduce.wgsl
override WORKGROUP: u32 = 256;

struct Params {
  count: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
  var partial = 0.0;
  for (var i = local; i < params.count; i += WORKGROUP) {
    partial += x[i];
  }
  let sum = workgroup_sum(partial, local);
  if (local == 0u) {
    y[0] = params.factor * sum;
  }
}
