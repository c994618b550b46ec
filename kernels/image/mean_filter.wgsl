// 3x3 mean filter: y[b, h, w] = mean of x over the 3x3 window around (h, w); pixels on the border keep their value
//
// x, y [B, H, W] storage type T
// Each invocation strides over the pixels; sum in f32.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  height: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let w = i % params.width;
    let h = i / params.width % params.height;
    if (w == 0u || h == 0u || w + 1u == params.width || h + 1u == params.height) {
      y[i] = x[i];
      continue;
    }
    var sum = 0.0;
    for (var row = i - params.width; row <= i + params.width; row += params.width) {
      sum += f32(x[row - 1u]) + f32(x[row]) + f32(x[row + 1u]);
    }
    y[i] = T(sum / 9.0);
  }
}
