// layer norm: y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) * weight[c] + bias[c]
// var is the biased variance over C (torch.nn.LayerNorm).
//
// x, y   [R, C] storage type T
// weight [C], bias [C] storage type W
// statistics [R, 2] f32: mean and 1 / sqrt(var + eps) of every row, where SAVE_STATISTICS
// One invocation a row, sums in f32: the second opinion for layer_norm.wgsl.
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SAVE_STATISTICS: bool = false;

struct Params {
  rows: u32,
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> weight: array<W>;
@group(0) @binding(3) var<storage, read> bias: array<W>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec2<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (row >= params.rows) {
    return;
  }
  let C = params.channels;
  let base = row * C;
  var sum = 0.0;
  for (var c = 0u; c < C; c++) {
    sum += f32(x[base + c]);
  }
  let mean = sum / f32(C);
  var squares = 0.0;
  for (var c = 0u; c < C; c++) {
    let centred = f32(x[base + c]) - mean;
    squares += centred * centred;
  }
  let scale = inverseSqrt(squares / f32(C) + params.eps);
  for (var c = 0u; c < C; c++) {
    y[base + c] = T((f32(x[base + c]) - mean) * scale * f32(weight[c]) + f32(bias[c]));
  }
  if (SAVE_STATISTICS) {
    statistics[row] = vec2(mean, scale);
  }
}
