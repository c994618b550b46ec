// add noise: y[b, n] = sqrt_alpha[b] * z[item, n] + sqrt_one_minus_alpha[b] * noise[b, n]
// item = item_of[b] where HAS_ITEM_OF, else b or (z_step 0) the only item of z.
//
// z [Bz, item_size], noise and y [B, item_size] storage type T; sqrt_alpha, sqrt_one_minus_alpha [B]; item_of [B]
// Each invocation strides over the elements of y; arithmetic in f32.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override HAS_ITEM_OF: bool = false;

struct Params {
  count: u32,
  item_size: u32,
  z_step: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> z: array<T>;
@group(0) @binding(2) var<storage, read> noise: array<T>;
@group(0) @binding(3) var<storage, read> sqrt_alpha: array<f32>;
@group(0) @binding(4) var<storage, read> sqrt_one_minus_alpha: array<f32>;
@group(0) @binding(5) var<storage, read> item_of: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let b = i / params.item_size;
    var item = b * params.z_step;
    if (HAS_ITEM_OF) {
      item = item_of[b];
    }
    let signal = f32(z[item * params.item_size + i % params.item_size]);
    y[i] = T(sqrt_alpha[b] * signal + sqrt_one_minus_alpha[b] * f32(noise[i]));
  }
}
