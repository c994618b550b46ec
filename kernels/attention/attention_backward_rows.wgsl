// attention backward, rows: what the gradients need of each row of scores (lib/attention_gradient.wgsl)
//   statistics[0] = m, statistics[1] = 1 / total, as the forward pass saved them
//   statistics[2] = D = sum_j P[j] dP[j] = dout . out
//
// out, dout  [B, Nq, H * d] storage type T
// saved      [2, B, H, Nq] f32, statistics [3, B, H, Nq] f32; count = B * H * Nq
// One invocation a row.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  heads: u32,
  queries: u32,
  head_size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> out: array<T>;
@group(0) @binding(2) var<storage, read> dout: array<T>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> statistics: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (row >= params.count) {
    return;
  }
  let query = row % params.queries;
  let head = row / params.queries % params.heads;
  let item = row / params.queries / params.heads;
  let base = ((item * params.queries + query) * params.heads + head) * params.head_size;
  var mean = 0.0;
  for (var c = 0u; c < params.head_size; c++) {
    mean += f32(dout[base + c]) * f32(out[base + c]);
  }
  statistics[row] = saved[row];
  statistics[params.count + row] = saved[params.count + row];
  statistics[2u * params.count + row] = mean;
}
