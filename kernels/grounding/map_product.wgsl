// map product: c[n] = a[n] b[n], matrix products of r x r maps
//
// a, b, c [M, r, r], r a multiple of 4, read as rows of r / 4 vectors
// One invocation a block of 4 x 4 elements of c, held in four registers; k ascends. No workgroup memory.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32, // blocks of all maps
  side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;

fn row_times(row: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
  return row.x * b0 + row.y * b1 + row.z * b2 + row.w * b3;
}

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
  let Q = params.side / 4u;
  let j = index % Q;
  let i = index / Q % Q;
  let map = index / (Q * Q) * 4u * Q * Q;
  let rows = map + 4u * i * Q;
  var c0 = vec4<f32>();
  var c1 = vec4<f32>();
  var c2 = vec4<f32>();
  var c3 = vec4<f32>();
  for (var k = 0u; k < Q; k++) {
    let column = map + 4u * k * Q + j;
    let b0 = b[column];
    let b1 = b[column + Q];
    let b2 = b[column + 2u * Q];
    let b3 = b[column + 3u * Q];
    c0 += row_times(a[rows + k], b0, b1, b2, b3);
    c1 += row_times(a[rows + Q + k], b0, b1, b2, b3);
    c2 += row_times(a[rows + 2u * Q + k], b0, b1, b2, b3);
    c3 += row_times(a[rows + 3u * Q + k], b0, b1, b2, b3);
  }
  c[rows + j] = c0;
  c[rows + Q + j] = c1;
  c[rows + 2u * Q + j] = c2;
  c[rows + 3u * Q + j] = c3;
}
