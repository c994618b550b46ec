// layer norm: y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) * weight[c] + bias[c]
// var is the biased variance over C (torch.nn.LayerNorm).
//
// x, y   [R, C] storage type T
// weight [C], bias [C] storage type W; C is a multiple of 4
// statistics [R, 2] f32: mean and 1 / sqrt(var + eps) of every row, where SAVE_STATISTICS
// One subgroup of any size a row at a time, with PAIRS two; its lanes stride over quads of channels. Weight and bias are read
// once for these rows, x twice: for the statistics and for y. Accumulators f32; no workgroup memory. Needs the feature
// subgroups.
enable subgroups;
//! include lib/fold.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 64;
override SAVE_STATISTICS: bool = false;
override PAIRS: bool = false;

struct Params {
  rows: u32,
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read> weight: array<W4>;
@group(0) @binding(3) var<storage, read> bias: array<W4>;
@group(0) @binding(4) var<storage, read_write> y: array<T4>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec2<f32>>;

// Mean and 1 / sqrt(var + eps) of the row whose quads start at `base`, read once: every component of a lane follows the mean
// and the centred squares of its own channels (Welford 1962), less the first of them, so that a large mean costs no digits.
// Then the squares of these means about the row's mean make up the rest of the variance (Chan et al. 1979).
fn row_statistics(base: u32, quads: u32, lane: u32, lanes: u32) -> vec2<f32> {
  let C = f32(params.channels);
  let shift = vec4<f32>(x[base + min(lane, quads - 1u)]);
  var count = select(0.0, 1.0, lane < quads);
  var lane_mean = vec4<f32>();
  var squares = vec4<f32>();
  for (var quad = lane + lanes; quad < quads; quad += lanes) {
    count += 1.0;
    let value = vec4<f32>(x[base + quad]) - shift;
    let away = value - lane_mean;
    lane_mean += away * (1.0 / count);
    squares += away * (value - lane_mean);
  }
  let origin = subgroupBroadcastFirst(shift.x);
  lane_mean += shift - origin;
  let mean = subgroupAdd(count * dot(lane_mean, vec4(1.0))) / C;
  let away = lane_mean - mean;
  let variance = subgroupAdd(dot(squares + count * away * away, vec4(1.0))) / C;
  return vec2(origin + mean, inverseSqrt(variance + params.eps));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(num_subgroups) subgroups: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let quads = params.channels / 4u;
  let rows_at_once = select(1u, 2u, PAIRS);
  let step = workgroup_count(workgroups) * subgroups * rows_at_once;
  for (var row = (flat_workgroup(workgroup, workgroups) * subgroups + subgroup) * rows_at_once; row < params.rows; row += step) {
    let last = min(row + rows_at_once, params.rows) - 1u;
    var of_row: vec2<f32>;
    var of_last: vec2<f32>;
    for (var r = row; r <= last; r++) {
      of_last = row_statistics(r * quads, quads, lane, lanes);
      of_row = select(of_row, of_last, r == row);
    }
    for (var quad = lane; quad < quads; quad += lanes) {
      let w = vec4<f32>(weight[quad]);
      let b = vec4<f32>(bias[quad]);
      let at = row * quads + quad;
      y[at] = T4((vec4<f32>(x[at]) - of_row.x) * of_row.y * w + b);
      if (PAIRS) {
        // Of an odd number of rows the last is written twice.
        let at_last = last * quads + quad;
        y[at_last] = T4((vec4<f32>(x[at_last]) - of_last.x) * of_last.y * w + b);
      }
    }
    if (SAVE_STATISTICS && lane == 0u) {
      statistics[row] = of_row;
      statistics[last] = of_last;
    }
  }
}
