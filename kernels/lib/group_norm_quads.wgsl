// The normalised input h and the gradient g that reached it, of four adjacent channels at a time:
//   h = (x - mean_bg) * inverse deviation_bg, g = dy, or dy * silu'(h * weight + bias) where SILU
//
// x            [B, S, C1], dy [B, S, C] storage type T (lib/group_norm_piece.wgsl)
// statistics   [B, G, 2] f32: mean, inverse deviation
// weight, bias [C] storage type W
// C1, C and the first channel are multiples of 4.
//! include lib/group_norm_piece.wgsl
//! include lib/silu_slope.wgsl
//! alias T
//! alias W
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read> dy: array<T4>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<W4>;
@group(0) @binding(5) var<storage, read> bias: array<W4>;

struct Normal {
  mean: vec4<f32>,
  scale: vec4<f32>,
  gain: vec4<f32>,
  offset: vec4<f32>,
}

struct Values {
  h: vec4<f32>,
  g: vec4<f32>,
}

// Places of the four channels' groups.
fn groups_of(piece: Piece) -> vec4<u32> {
  let width = 4u * params.all_columns / params.groups;
  return piece.batch * params.groups + (4u * piece.out_column + vec4(0u, 1u, 2u, 3u)) / width;
}

fn normal_of(piece: Piece) -> Normal {
  let groups = groups_of(piece);
  let s0 = statistics[groups.x];
  let s1 = statistics[groups.y];
  let s2 = statistics[groups.z];
  let s3 = statistics[groups.w];
  return Normal(
    vec4(s0.x, s1.x, s2.x, s3.x),
    vec4(s0.y, s1.y, s2.y, s3.y),
    vec4<f32>(weight[piece.out_column]),
    vec4<f32>(bias[piece.out_column]),
  );
}

fn values_at(piece: Piece, normal: Normal, row: u32) -> Values {
  let h = (vec4<f32>(x[row * params.columns + piece.column]) - normal.mean) * normal.scale;
  var g = vec4<f32>(dy[row * params.all_columns + piece.out_column]);
  if (SILU) {
    g *= silu_slope4(h * normal.gain + normal.offset);
  }
  return Values(h, g);
}
