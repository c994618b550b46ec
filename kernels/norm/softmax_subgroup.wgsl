// softmax: y[r, n] = exp(x[r, n] - max_r) / sum_n exp(x[r, n] - max_r)
//
// x, y [R, N] storage type T; N is a multiple of 4
// One subgroup of any size a row at a time, its lanes stride over quads of columns. Accumulators f32; no workgroup
// memory. Needs the feature subgroups.
enable subgroups;
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(num_subgroups) subgroups: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let quads = params.columns / 4u;
  let step = workgroup_count(workgroups) * subgroups;
  for (var row = flat_workgroup(workgroup, workgroups) * subgroups + subgroup; row < params.rows; row += step) {
    let base = row * quads;
    var greatest = vec4(-3.0e38);
    for (var quad = lane; quad < quads; quad += lanes) {
      greatest = max(greatest, vec4<f32>(x[base + quad]));
    }
    let row_max = subgroupMax(max(max(greatest.x, greatest.y), max(greatest.z, greatest.w)));
    var sum = vec4<f32>();
    for (var quad = lane; quad < quads; quad += lanes) {
      sum += exp(vec4<f32>(x[base + quad]) - row_max);
    }
    let scale = 1.0 / subgroupAdd(dot(sum, vec4(1.0)));
    for (var quad = lane; quad < quads; quad += lanes) {
      y[base + quad] = T4(exp(vec4<f32>(x[base + quad]) - row_max) * scale);
    }
  }
}
