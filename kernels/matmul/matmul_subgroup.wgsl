// matmul: c[i, m, n] = activation(scale * sum_k a[i, m, k] * b[i, k, n] + bias[n]) + residual[i, m, n]
// (b[i, n, k] where TRANSPOSE_B)
//
// a        [B, M, K], residual, c [B, M, N] storage type T
// b        [B, K, N] or [B, N, K], or shared by the batch (b_stride 0); b4 the same by fours, read instead where
//          QUADS (N a multiple of 4, not transposed); bias [N]; storage type W
// COLUMNS invocations compute ROWS rows by 4 * COLUMNS columns, four columns each; a workgroup holds several such
// groups where N is small. The lanes of a group load one k each of every row of a and spread them (lane_tile.wgsl):
// no value of a is loaded twice, no workgroup memory. Sums in f32 in the order of k, whatever the tile.
// Needs the feature subgroups; takes for granted that the invocations of a workgroup fill its subgroups in order.
//! include lib/fold.wgsl
//! include lib/activations.wgsl
//! include lib/lane_tile.wgsl
//! alias T
//! alias W
override WORKGROUP: u32 = 8;
override COLUMNS: u32 = 8;
override ROWS: u32 = 16;
override QUADS: bool = false;
override TRANSPOSE_B: bool = false;
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

fn load_a(offsets: vec4<u32>) -> vec4<f32> {
  return vec4(f32(a[offsets.x]), f32(a[offsets.y]), f32(a[offsets.z]), f32(a[offsets.w]));
}

// Offsets in a of four rows. Rows past the end repeat the last one; they are not stored.
fn row_offsets(batch: u32, m: u32) -> vec4<u32> {
  return (batch * params.M + min(vec4(m, m + 1, m + 2, m + 3), vec4(params.M - 1))) * params.K;
}

// Four columns of row k of b. Columns past the end repeat the last ones; they are not stored.
fn load_b(start: u32, k: u32, n: u32) -> vec4<f32> {
  if (QUADS) {
    return vec4<f32>(b4[(start + k * params.N + min(n, params.N - 4)) / 4]);
  }
  let at = min(vec4(n, n + 1, n + 2, n + 3), vec4(params.N - 1));
  var offsets = start + k * params.N + at;
  if (TRANSPOSE_B) {
    offsets = start + at * params.K + k;
  }
  return vec4(f32(b[offsets.x]), f32(b[offsets.y]), f32(b[offsets.z]), f32(b[offsets.w]));
}

fn store_rows(batch: u32, m: u32, n: u32, sums: mat4x4<f32>) {
  for (var r = 0u; r < 4 && m + r < params.M; r++) {
    let row = (batch * params.M + m + r) * params.N;
    for (var j = 0u; j < 4 && n + j < params.N; j++) {
      var value = params.scale * sums[r][j];
      if (HAS_BIAS) {
        value += f32(bias[n + j]);
      }
      value = activate(value, ACTIVATION);
      if (HAS_RESIDUAL) {
        value += f32(residual[row + n + j]);
      }
      c[row + n + j] = T(value);
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let groups = WORKGROUP / COLUMNS;
  let row_tiles = (params.M + ROWS * groups - 1) / (ROWS * groups);
  let column_tiles = (params.N + 4 * COLUMNS - 1) / (4 * COLUMNS);
  let tile_index = flat_workgroup(workgroup, workgroups);
  let batch = tile_index / (row_tiles * column_tiles);
  if (batch >= params.batches) {
    return;
  }
  let m = (tile_index % row_tiles * groups + local / COLUMNS) * ROWS;
  let n = (tile_index / row_tiles % column_tiles * COLUMNS + local % COLUMNS) * 4;
  let b_start = batch * params.b_stride;
  let o0 = row_offsets(batch, m);
  let o1 = row_offsets(batch, m + 4);
  let o2 = row_offsets(batch, m + 8);
  let o3 = row_offsets(batch, m + 12);

  let run = min(COLUMNS, subgroup_size);
  let first = lane - lane % run;
  var tile: Tile;
  for (var k = 0u; k < params.K; k += run) {
    let own = min(k + lane % run, params.K - 1);
    let values = RowValues(load_a(o0 + own), load_a(o1 + own), load_a(o2 + own), load_a(o3 + own));
    let end = min(run, params.K - k);
    for (var i = 0u; i < end; i++) {
      accumulate(&tile, values, first + i, load_b(b_start, k + i, n));
    }
  }
  store_rows(batch, m, n, tile.s0);
  if (ROWS > 4) {
    store_rows(batch, m + 4, n, tile.s1);
  }
  if (ROWS > 8) {
    store_rows(batch, m + 8, n, tile.s2);
    store_rows(batch, m + 12, n, tile.s3);
  }
}
