// A tile of up to 16 rows by four columns in the registers of one invocation. Rows come in groups of four; the kernel
// that includes this declares `override ROWS` (4, 8 or 16), which switches groups off.

// Four neighbouring rows or columns.
fn four_from(first: u32) -> vec4<u32> {
  return vec4(first, first + 1, first + 2, first + 3);
}

// rows[r] of a group holds four columns of row r.
struct Tile {
  g0: mat4x4<f32>,
  g1: mat4x4<f32>,
  g2: mat4x4<f32>,
  g3: mat4x4<f32>,
}

// One value a row.
struct RowValues {
  g0: vec4<f32>,
  g1: vec4<f32>,
  g2: vec4<f32>,
  g3: vec4<f32>,
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

// Adds the product of one value a row with four columns of one row of b.
fn accumulate(tile: ptr<function, Tile>, values: RowValues, b: vec4<f32>) {
  (*tile).g0 = add_outer((*tile).g0, values.g0, b);
  if (ROWS > 4) {
    (*tile).g1 = add_outer((*tile).g1, values.g1, b);
  }
  if (ROWS > 8) {
    (*tile).g2 = add_outer((*tile).g2, values.g2, b);
    (*tile).g3 = add_outer((*tile).g3, values.g3, b);
  }
}

// The rows of a tile as an array, for the epilogue: its loop over rows is not unrolled, which on CPU devices takes
// seconds off the compilation.
fn rows_of(tile: Tile) -> array<vec4<f32>, 16> {
  return array(
    tile.g0[0], tile.g0[1], tile.g0[2], tile.g0[3],
    tile.g1[0], tile.g1[1], tile.g1[2], tile.g1[3],
    tile.g2[0], tile.g2[1], tile.g2[2], tile.g2[3],
    tile.g3[0], tile.g3[1], tile.g3[2], tile.g3[3],
  );
}
