// normal noise: y[b, n] ~ N(0, 1), a function of seed, stream, image, timestep and n alone
// Philox counter (n / 4, timestep, image, stream) under the key seed gives the four normal numbers n to n + 3.
//
// items [B, 2]: image, timestep
// y     [B, item_size] storage type T
// Each invocation strides over blocks of four adjacent elements of an item.
//! include lib/fold.wgsl
//! include lib/philox.wgsl
//! include lib/normal.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  batches: u32,
  item_size: u32,
  stream: u32,
  seed: vec2<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> items: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let blocks = (params.item_size + 3u) / 4u;
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.batches * blocks; i += step) {
    let b = i / blocks;
    let block = i % blocks;
    let bits = philox(vec4(block, items[2u * b + 1u], items[2u * b], params.stream), params.seed);
    let normals = vec4(normal_pair(bits.xy), normal_pair(bits.zw));
    let first = b * params.item_size + 4u * block;
    let count = min(4u, params.item_size - 4u * block);
    for (var k = 0u; k < count; k++) {
      y[first + k] = T(normals[k]);
    }
  }
}
