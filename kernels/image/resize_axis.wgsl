// resize along one axis: y[o, n, i] = sum_k w_k x[o, k, i] / sum_k w_k, w_k = max(0, 1 - |k + 0.5 - centre| / support)
// centre = (n + 0.5) * length / out_length; k runs over the samples with w_k > 0. Bilinear with half-pixel centres:
// support 1 interpolates, support length / out_length (where greater) also averages (antialiasing).
//
// x [outer, length, inner] storage type T, y [outer, out_length, inner] storage type W
// Each invocation strides over the elements of y; sums in f32. Centres are exact: whole part and rest of an integer division.
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  length: u32,
  out_length: u32,
  inner: u32,
  support: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let inner = i % params.inner;
    let n = i / params.inner % params.out_length;
    let outer = i / (params.inner * params.out_length);
    let numerator = (2u * n + 1u) * params.length;
    let whole = i32(numerator / (2u * params.out_length));
    // The centre less a half, from the sample `whole` on.
    let rest = f32(numerator % (2u * params.out_length)) / f32(2u * params.out_length) - 0.5;
    let reach = i32(ceil(params.support));
    let first = max(whole - reach, 0);
    let last = min(whole + reach, i32(params.length) - 1);
    var sum = 0.0;
    var weights = 0.0;
    for (var k = first; k <= last; k++) {
      let weight = max(0.0, 1.0 - abs(f32(k - whole) - rest) / params.support);
      weights += weight;
      sum += weight * f32(x[(outer * params.length + u32(k)) * params.inner + inner]);
    }
    y[i] = W(sum / weights);
  }
}
