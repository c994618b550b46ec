// batch norm as scale and shift: scale[c] = weight[c] / sqrt(variance[c] + eps), shift[c] = bias[c] - mean[c] * scale[c]
//
// weight, bias, mean, variance, scale, shift [C] storage type W
// Each invocation strides over the channels; arithmetic in f32.
//! include lib/fold.wgsl
//! alias W
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<W>;
@group(0) @binding(2) var<storage, read> bias: array<W>;
@group(0) @binding(3) var<storage, read> mean: array<W>;
@group(0) @binding(4) var<storage, read> variance: array<W>;
@group(0) @binding(5) var<storage, read_write> scale: array<W>;
@group(0) @binding(6) var<storage, read_write> shift: array<W>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var c = flat_invocation(workgroup, workgroups, local, WORKGROUP); c < params.count; c += step) {
    let factor = f32(weight[c]) / sqrt(f32(variance[c]) + params.eps);
    scale[c] = W(factor);
    shift[c] = W(f32(bias[c]) - f32(mean[c]) * factor);
  }
}
