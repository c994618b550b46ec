// cross entropy, 2 of 2: loss = sum of losses[n] * share, share = 1 / (number of rows whose target is not `ignored`)
// Without such rows the loss is 0.
//
// losses [N] f32, targets [N]
// loss, share [1] f32
// One workgroup, whose invocations stride over the rows. Workgroup memory 4 * WORKGROUP bytes.
//! include lib/reduce.wgsl
override WORKGROUP: u32 = 256;

struct Params {
  rows: u32,
  ignored: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> share: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
  var part = 0.0;
  var rows = 0.0;
  for (var n = local; n < params.rows; n += WORKGROUP) {
    part += losses[n];
    rows += select(1.0, 0.0, targets[n] == params.ignored);
  }
  let sum = workgroup_sum(part, local);
  let count = workgroup_sum(rows, local);
  if (local == 0u) {
    share[0] = 1.0 / max(count, 1.0);
    loss[0] = sum * share[0];
  }
}
