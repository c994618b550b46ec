// softmax backward: dx[r, n] = y[r, n] * (dy[r, n] - sum_m dy[r, m] * y[r, m])
//
// y, dy, dx [R, N] storage type T; N is a multiple of 4
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
@group(0) @binding(1) var<storage, read> y: array<T4>;
@group(0) @binding(2) var<storage, read> dy: array<T4>;
@group(0) @binding(3) var<storage, read_write> dx: array<T4>;

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
    var partial = vec4<f32>();
    for (var quad = lane; quad < quads; quad += lanes) {
      partial += vec4<f32>(dy[base + quad]) * vec4<f32>(y[base + quad]);
    }
    let sum = subgroupAdd(dot(partial, vec4(1.0)));
    for (var quad = lane; quad < quads; quad += lanes) {
      dx[base + quad] = T4(vec4<f32>(y[base + quad]) * (vec4<f32>(dy[base + quad]) - sum));
    }
  }
}
