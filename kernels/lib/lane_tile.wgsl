// A tile of up to 16 rows by four columns in the registers of one invocation, for kernels whose lanes share the rows:
// each lane of a run loads one k of every row, and subgroupShuffle spreads the values. Rows come in groups of four;
// ROWS switches groups off. The kernel that includes this declares `override ROWS` (4, 8 or 16) and
// `fn load_a(offsets: vec4<u32>) -> vec4<f32>`, one value of four rows.
enable subgroups;

// sums[r] holds four columns of row r.
struct Tile {
  s0: mat4x4<f32>,
  s1: mat4x4<f32>,
  s2: mat4x4<f32>,
  s3: mat4x4<f32>,
}

// One value a row.
struct RowValues {
  v0: vec4<f32>,
  v1: vec4<f32>,
  v2: vec4<f32>,
  v3: vec4<f32>,
}

// sums + values (x) b, the outer product.
fn add_outer(sums: mat4x4<f32>, values: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(
    fma(vec4(values.x), b, sums[0]),
    fma(vec4(values.y), b, sums[1]),
    fma(vec4(values.z), b, sums[2]),
    fma(vec4(values.w), b, sums[3]),
  );
}

// Adds the product of the rows' values that lane `source` holds with four columns of b.
fn accumulate(tile: ptr<function, Tile>, values: RowValues, source: u32, b: vec4<f32>) {
  (*tile).s0 = add_outer((*tile).s0, subgroupShuffle(values.v0, source), b);
  if (ROWS > 4) {
    (*tile).s1 = add_outer((*tile).s1, subgroupShuffle(values.v1, source), b);
  }
  if (ROWS > 8) {
    (*tile).s2 = add_outer((*tile).s2, subgroupShuffle(values.v2, source), b);
    (*tile).s3 = add_outer((*tile).s3, subgroupShuffle(values.v3, source), b);
  }
}
