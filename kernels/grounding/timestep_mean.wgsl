// timestep mean: y[p, i] = sum_t w[t] x[p, t, i] / sum_t w[t], added to y where ACCUMULATE; not divided where SUM
//
// x [P, T, N], y [P, N]
// w [T], all 1 unless WEIGHTED
// One invocation an element of y; timesteps in ascending order, sums in f32.
//! include lib/fold.wgsl
override WORKGROUP: u32 = 64;
override WEIGHTED: bool = false;
override ACCUMULATE: bool = false;
override SUM: bool = false;

struct Params {
  count: u32,
  timesteps: u32,
  pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

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
  let N = params.pixels;
  let base = index / N * params.timesteps * N + index % N;
  var sum = 0.0;
  var weights = 0.0;
  for (var t = 0u; t < params.timesteps; t++) {
    var weight = 1.0;
    if (WEIGHTED) {
      weight = w[t];
    }
    sum += weight * x[base + t * N];
    weights += weight;
  }
  var mean = sum;
  if (!SUM) {
    mean /= weights;
  }
  if (ACCUMULATE) {
    mean += y[index];
  }
  y[index] = mean;
}
