// scale and shift: y[r, c] = activation(x[r, c] * scale[c] + shift[c]), the shift left out without HAS_SHIFT: a batch norm
// with fixed statistics.
//
// x, y [R, C] storage type T; scale, shift [C] storage type W
// Each invocation strides over the elements; arithmetic in f32.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override HAS_SHIFT: bool = false;
override ACTIVATION: u32 = 0;

struct Params {
  count: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> scale: array<W>;
@group(0) @binding(3) var<storage, read> shift: array<W>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let c = i % params.channels;
    var value = f32(x[i]) * f32(scale[c]);
    if (HAS_SHIFT) {
      value += f32(shift[c]);
    }
    y[i] = T(activate(value, ACTIVATION));
  }
}
