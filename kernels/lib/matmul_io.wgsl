// What the matrix products share: params, bindings, loads with clamped tails, and the epilogue.
//
// c[i, m, n] = activation(scale * sum_k a[i, m, k] * b[i, k, n] + bias[n]) + residual[i, m, n]
// TRANSPOSE_B: b[i, n, k] instead. GATED: b has 2N columns and c = value * gelu(gate), value from the first N columns
// and their bias, gate from the last N (diffusers' GEGLU).
//
// a        [B, M, K], residual, c [B, M, N] storage type T
// b        [B, K, N] or [B, N, K], or shared by the batch (b_stride 0), or [K, 2N] where GATED; b4 the same by fours,
//          bound instead where QUADS (N a multiple of 4, not transposed); bias [N] or [2N]; storage type W
//! include lib/activations.wgsl
//! include lib/row_tile.wgsl
//! alias T
//! alias W
override QUADS: bool = false;
override TRANSPOSE_B: bool = false;
override GATED: bool = false;
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
override ACTIVATION: u32 = 0;

struct Params {
  batches: u32,
  M: u32,
  N: u32,
  K: u32,
  b_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<W>;
@group(0) @binding(3) var<storage, read> b4: array<W4>;
@group(0) @binding(4) var<storage, read> bias: array<W>;
@group(0) @binding(5) var<storage, read> residual: array<T>;
@group(0) @binding(6) var<storage, read_write> c: array<T>;

// Offsets in a of rows. Rows past the end repeat the last one; they are not stored.
fn row_offsets(batch: u32, rows: vec4<u32>) -> vec4<u32> {
  return (batch * params.M + min(rows, vec4(params.M - 1))) * params.K;
}

fn load_a(offsets: vec4<u32>) -> vec4<f32> {
  return vec4(f32(a[offsets.x]), f32(a[offsets.y]), f32(a[offsets.z]), f32(a[offsets.w]));
}

// Four columns from n on. Columns past the end repeat the last ones; they are not stored.
fn four_columns(n: u32) -> vec4<u32> {
  return min(four_from(n), vec4(params.N - 1));
}

// Four columns of row k of b, which starts at `start`.
fn load_b(start: u32, k: u32, n: u32) -> vec4<f32> {
  let row = start + k * params.N * select(1u, 2u, GATED);
  if (QUADS) {
    return vec4<f32>(b4[(row + min(n, params.N - 4)) / 4]);
  }
  var at = row + four_columns(n);
  if (TRANSPOSE_B) {
    at = start + four_columns(n) * params.K + k;
  }
  return vec4(f32(b[at.x]), f32(b[at.y]), f32(b[at.z]), f32(b[at.w]));
}

// The bias of four columns, `start` being 0 or, for the gate, N.
fn load_bias(start: u32, n: u32) -> vec4<f32> {
  if (!HAS_BIAS) {
    return vec4(0.0);
  }
  let at = start + four_columns(n);
  return vec4(f32(bias[at.x]), f32(bias[at.y]), f32(bias[at.z]), f32(bias[at.w]));
}

// Finishes and stores four columns from n on of row m.
fn store_row(batch: u32, m: u32, n: u32, value: vec4<f32>, gate: vec4<f32>) {
  let index = (batch * params.M + m) * params.N + n;
  for (var j = 0u; j < 4; j++) {
    if (QUADS || n + j < params.N) {
      var result = activate(value[j], ACTIVATION);
      if (GATED) {
        result *= gelu(gate[j]);
      }
      if (HAS_RESIDUAL) {
        result += f32(residual[index + j]);
      }
      c[index + j] = T(result);
    }
  }
}

// Stores what of a tile lies inside c.
fn store_tile(batch: u32, m: u32, n: u32, values: Tile, gates: Tile) {
  if (batch >= params.batches || m >= params.M || n >= params.N) {
    return;
  }
  let value_bias = load_bias(0, n);
  let gate_bias = load_bias(params.N, n);
  var value_rows = rows_of(values);
  var gate_rows = rows_of(gates);
  let end = min(m + ROWS, params.M);
  for (var row = m; row < end; row++) {
    let r = row - m;
    store_row(batch, row, n, params.scale * value_rows[r] + value_bias, params.scale * gate_rows[r] + gate_bias);
  }
}
