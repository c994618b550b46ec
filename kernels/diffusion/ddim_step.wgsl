// DDIM step, eta 0 (Song, Meng, Ermon 2021, eq. 12), from x_t to x_prev:
//   m       = output, or unconditional + scale * (output - unconditional) where GUIDED
//   x0      = clamp(c[0] * x + c[1] * m, -c[6], c[6])
//   epsilon = c[2] * x + c[3] * m
//   y       = c[4] * x0 + c[5] * epsilon
// The coefficients say what the network predicts (epsilon, v or x0); they are a tensor so that a recorded step can be
// replayed at another timestep.
//
// x, output, unconditional, y [count] storage type T; c [7]
// Each invocation strides over the elements; arithmetic in f32.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override GUIDED: bool = false;

struct Params {
  count: u32,
  guidance_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> output: array<T>;
@group(0) @binding(3) var<storage, read> unconditional: array<T>;
@group(0) @binding(4) var<storage, read> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let x_t = f32(x[i]);
    var m = f32(output[i]);
    if (GUIDED) {
      let u = f32(unconditional[i]);
      m = u + params.guidance_scale * (m - u);
    }
    let x0 = clamp(c[0] * x_t + c[1] * m, -c[6], c[6]);
    let epsilon = c[2] * x_t + c[3] * m;
    y[i] = T(c[4] * x0 + c[5] * epsilon);
  }
}
