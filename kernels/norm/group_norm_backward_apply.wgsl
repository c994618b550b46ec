// group norm backward, 3 of 3: dx[b, s, c] = inverse deviation_bg * (g[b, s, c] * weight[c] - m_bg - h[b, s, c] * n_bg)
// (lib/group_norm_quads.wgsl says g, h, bindings and shapes)
//
// means [B, G, 2] f32: m, n
// dx    [B, S, C1] storage type T
// One invocation a column (four adjacent channels) of a chunk.
//! include lib/fold.wgsl
//! include lib/group_norm_quads.wgsl
override WORKGROUP: u32 = 64;

@group(0) @binding(6) var<storage, read> means: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read_write> dx: array<T4>;

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
  let groups = groups_of(piece);
  let m0 = means[groups.x];
  let m1 = means[groups.y];
  let m2 = means[groups.z];
  let m3 = means[groups.w];
  let m = vec4(m0.x, m1.x, m2.x, m3.x);
  let n = vec4(m0.y, m1.y, m2.y, m3.y);
  for (var row = piece.first; row < piece.end; row++) {
    let at = values_at(piece, normal, row);
    dx[row * params.columns + piece.column] = T4(normal.scale * (at.g * normal.gain - m - at.h * n));
  }
}
