// cross entropy, 1 of 2: losses[n] = lse[n] - logits[n, targets[n]], lse[n] = log of the sum of exp(logits[n, v]) over v
// A row whose target is `ignored` has loss 0; a target that is no column gives NaN.
//
// logits      [N, V] storage type T
// targets     [N]
// losses, lse [N] f32
// One subgroup of any size a row at a time, its lanes stride over the columns. Accumulators f32; no workgroup memory.
// Needs the feature subgroups.
enable subgroups;
//! include lib/fold.wgsl
//! include lib/cross_entropy_row.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  columns: u32,
  ignored: u32,
  missing: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<T>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(num_subgroups) subgroups: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let step = workgroup_count(workgroups) * subgroups;
  for (var row = flat_workgroup(workgroup, workgroups) * subgroups + subgroup; row < params.rows; row += step) {
    let base = row * params.columns;
    var greatest = -3.0e38;
    for (var v = lane; v < params.columns; v += lanes) {
      greatest = max(greatest, f32(logits[base + v]));
    }
    let row_max = subgroupMax(greatest);
    var part = 0.0;
    for (var v = lane; v < params.columns; v += lanes) {
      part += exp(f32(logits[base + v]) - row_max);
    }
    let sum = subgroupAdd(part);
    if (lane == 0u) {
      write_row(row, row_max, sum);
    }
  }
}
