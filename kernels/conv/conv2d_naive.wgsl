// conv2d: y[b, oy, ox, n] = activation(sum_{ky, kx, c} in[b, oy * stride + ky - top, ox * stride + kx - left, c]
//                           * weight[ky, kx, c, n] + bias[n] + shift[b, n]) + residual[b, oy, ox, n]
// in = concatenation of x and skip along the channels, nearest-upsampled by 2 where UPSAMPLE, zero outside.
//
// x        [B, H, W, C1], skip [B, H, W, C2] storage type T; shift [B, Cout], residual and y [B, Ho, Wo, Cout] too
// weight   [kh, kw, C1 + C2, Cout], bias [Cout] storage type W
// One invocation an element of y, sum in f32 in the order of the weight's rows: the second opinion for the fast kernels.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override UPSAMPLE: u32 = 1;
override HAS_SKIP: bool = false;
override HAS_BIAS: bool = false;
override HAS_SHIFT: bool = false;
override HAS_RESIDUAL: bool = false;
override ACTIVATION: u32 = 0;

struct Params {
  batches: u32,
  height: u32,
  width: u32,
  c1: u32,
  c2: u32,
  out_height: u32,
  out_width: u32,
  c_out: u32,
  kernel: vec2<u32>,
  padding: vec2<u32>,
  stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> skip: array<T>;
@group(0) @binding(3) var<storage, read> weight: array<W>;
@group(0) @binding(4) var<storage, read> bias: array<W>;
@group(0) @binding(5) var<storage, read> shift: array<T>;
@group(0) @binding(6) var<storage, read> residual: array<T>;
@group(0) @binding(7) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  let pixels = params.out_height * params.out_width;
  if (index >= params.batches * pixels * params.c_out) {
    return;
  }
  let n = index % params.c_out;
  let pixel = index / params.c_out;
  let batch = pixel / pixels;
  let origin = vec2(pixel % pixels / params.out_width, pixel % params.out_width) * params.stride;
  let bounds = vec2(params.height, params.width) * UPSAMPLE;
  var sum = 0.0;
  for (var ky = 0u; ky < params.kernel.x; ky++) {
    for (var kx = 0u; kx < params.kernel.y; kx++) {
      // A position above or left of the image wraps to a huge number and fails the comparison as well.
      let at = origin + vec2(ky, kx) - params.padding;
      if (all(at < bounds)) {
        let source = (batch * params.height + at.x / UPSAMPLE) * params.width + at.y / UPSAMPLE;
        let rows = (ky * params.kernel.y + kx) * (params.c1 + params.c2);
        for (var c = 0u; c < params.c1; c++) {
          sum = fma(f32(x[source * params.c1 + c]), f32(weight[(rows + c) * params.c_out + n]), sum);
        }
        if (HAS_SKIP) {
          for (var c = 0u; c < params.c2; c++) {
            sum = fma(f32(skip[source * params.c2 + c]), f32(weight[(rows + params.c1 + c) * params.c_out + n]), sum);
          }
        }
      }
    }
  }
  if (HAS_BIAS) {
    sum += f32(bias[n]);
  }
  if (HAS_SHIFT) {
    sum += f32(shift[batch * params.c_out + n]);
  }
  sum = activate(sum, ACTIVATION);
  if (HAS_RESIDUAL) {
    sum += f32(residual[index]);
  }
  y[index] = T(sum);
}
