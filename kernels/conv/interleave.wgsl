// interleave: y[b, 2 * qy + phase.x, 2 * qx + phase.y, c] = x[b, qy, qx, c]
//
// x [B, Hq, Wq, C], y [B, H, W, C] storage type T; the pixels of the other phases stay as they are
// Each invocation strides over the elements of x.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  in_height: u32,
  in_width: u32,
  height: u32,
  width: u32,
  channels: u32,
  phase: vec2<u32>,
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
    let pixel = i / params.channels;
    let line = pixel / params.in_width;
    let row = line % params.in_height * 2 + params.phase.x;
    let column = pixel % params.in_width * 2 + params.phase.y;
    let at = (line / params.in_height * params.height + row) * params.width + column;
    y[at * params.channels + i % params.channels] = x[i];
  }
}
