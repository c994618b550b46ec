// map product: c[n] = a[n] b[n], matrix products of r x r maps
//
// a, b, c [M, r, r], any r
// One invocation an element of c, k ascends, sum in f32: the second opinion for map_product.wgsl.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.count) {
    return;
  }
  let r = params.side;
  let row = index / r * r;
  let map = index / (r * r) * r * r;
  var sum = 0.0;
  for (var k = 0u; k < r; k++) {
    sum += a[row + k] * b[map + k * r + index % r];
  }
  c[index] = sum;
}
