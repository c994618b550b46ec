// builtins: y[i] = f(x[i]), f one of WGSL's functions, so that a device's accuracy can be measured
//
// x, y [count] f32
// One invocation an element.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;
override FUNCTION: u32 = 0;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn apply(value: f32) -> f32 {
  switch FUNCTION {
    case 0: { return exp(value); }
    case 1: { return log(value); }
    case 2: { return tanh(value); }
    case 3: { return inverseSqrt(value); }
    default: { return 1.0 / value; }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (i < params.count) {
    y[i] = apply(x[i]);
  }
}
