// The normalised input h and the gradient g that reached it, of one channel at a time (lib/group_norm_quads.wgsl says
// formulas, bindings and shapes), for any C.
//! include lib/group_norm_piece.wgsl
//! include lib/silu_slope.wgsl
//! alias T
//! alias W
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<W>;

struct Normal {
  mean: f32,
  scale: f32,
  gain: f32,
  offset: f32,
}

struct Values {
  h: f32,
  g: f32,
}

// Place of the channel's group.
fn group_of(piece: Piece) -> u32 {
  return piece.batch * params.groups + piece.out_column / (params.all_columns / params.groups);
}

fn normal_of(piece: Piece) -> Normal {
  let s = statistics[group_of(piece)];
  return Normal(s.x, s.y, f32(weight[piece.out_column]), f32(bias[piece.out_column]));
}

fn values_at(piece: Piece, normal: Normal, row: u32) -> Values {
  let h = (f32(x[row * params.columns + piece.column]) - normal.mean) * normal.scale;
  var g = f32(dy[row * params.all_columns + piece.out_column]);
  if (SILU) {
    g *= silu_slope(h * normal.gain + normal.offset);
  }
  return Values(h, g);
}
