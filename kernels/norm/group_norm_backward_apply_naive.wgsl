// group norm backward, 3 of 3: dx[b, s, c] = inverse deviation_bg * (g[b, s, c] * weight[c] - m_bg - h[b, s, c] * n_bg)
// (lib/group_norm_quads.wgsl says g, h, bindings and shapes)
//
// means [B, G, 2] f32: m, n
// dx    [B, S, C1] storage type T
// One invocation a column (channel) of a chunk: the second opinion for group_norm_backward_apply.wgsl, and for any C.
//! include lib/fold.wgsl
//! include lib/group_norm_singles.wgsl
override WORKGROUP: u32 = 64;

@group(0) @binding(6) var<storage, read> means: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read_write> dx: array<T>;

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
  let m = means[group_of(piece)].x;
  let n = means[group_of(piece)].y;
  for (var row = piece.first; row < piece.end; row++) {
    let at = values_at(piece, normal, row);
    dx[row * params.columns + piece.column] = T(normal.scale * (at.g * normal.gain - m - at.h * n));
  }
}
