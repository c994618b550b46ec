// fma chain: y[i] = sum over the 12 chains c of r_n(c), r_0(c) = c, r_(j+1)(c) = r_j(c) * x[i] + 1, n = 8 * rounds
//
// x, y [count] f32
// What a device's arithmetic can do at best: the scale for other kernels. One invocation an element; the chains stay in
// registers, few enough for 16 of them, and hide one another's latency.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let factor = vec4(x[min(index, params.count - 1)]);
  let one = vec4(1.0);
  var a = vec4(0.0, 1.0, 2.0, 3.0);
  var b = vec4(4.0, 5.0, 6.0, 7.0);
  var c = vec4(8.0, 9.0, 10.0, 11.0);
  for (var round = 0u; round < params.rounds; round++) {
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
    a = fma(a, factor, one); b = fma(b, factor, one); c = fma(c, factor, one);
  }
  let sum = a + b + c;
  if (index < params.count) {
    y[index] = sum.x + sum.y + sum.z + sum.w;
  }
}
