// group norm backward, 1 of 3: sums of every channel over chunks of positions (lib/group_norm_quads.wgsl says g, h, bindings
// and shapes)
//   dbias part[b, k, c] = sum of g[b, s, c], dweight part[b, k, c] = sum of g[b, s, c] * h[b, s, c] over s in chunk k
//
// sums [B, K, 2, C] f32: dbias parts, dweight parts
// One invocation a column (channel) of a chunk: the second opinion for group_norm_backward_partial.wgsl, and for any C.
//! include lib/fold.wgsl
//! include lib/group_norm_singles.wgsl
override WORKGROUP: u32 = 64;

@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.count) {
    return;
  }
  let piece = piece_of(index);
  let normal = normal_of(piece);
  var dbias = 0.0;
  var dweight = 0.0;
  for (var row = piece.first; row < piece.end; row++) {
    let at = values_at(piece, normal, row);
    dbias += at.g;
    dweight += at.g * at.h;
  }
  sums[2u * piece.slot * params.all_columns + piece.out_column] = dbias;
  sums[(2u * piece.slot + 1u) * params.all_columns + piece.out_column] = dweight;
}
