// cross entropy, 1 of 2: losses[n] = lse[n] - logits[n, targets[n]], lse[n] = log of the sum of exp(logits[n, v]) over v
// A row whose target is `ignored` has loss 0; a target that is no column gives NaN.
//
// logits      [N, V] storage type T
// targets     [N]
// losses, lse [N] f32
// One invocation a row, sum in f32: the second opinion for cross_entropy_subgroup.wgsl.
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
  @builtin(local_invocation_index) local: u32,
) {
  let row = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (row >= params.rows) {
    return;
  }
  let base = row * params.columns;
  var greatest = -3.0e38;
  for (var v = 0u; v < params.columns; v++) {
    greatest = max(greatest, f32(logits[base + v]));
  }
  var sum = 0.0;
  for (var v = 0u; v < params.columns; v++) {
    sum += exp(f32(logits[base + v]) - greatest);
  }
  write_row(row, greatest, sum);
}
