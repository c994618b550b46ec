// Products of rows that the lanes of a subgroup hold (row_tile.wgsl), four k at a time: the accumulators are read and written
// a quarter as often. Of COLUMNS lanes (4 or 8), lane l holds rows l, l + COLUMNS and so on of a tile; they spread them by
// subgroupShuffle. The loop that calls this should hold nothing else: on lavapipe a loop inside it takes a third of its rate.
//! include lib/row_tile.wgsl
enable subgroups;

// The row that a lane holds of each group; of 8 lanes, a row is of two groups.
fn own_rows(m: u32, lane: u32) -> vec4<u32> {
  return m + lane % COLUMNS + vec4(0, 4, 8, 12) / COLUMNS * COLUMNS;
}

// sum + products of four k with four columns, b[i] being those of the i-th k, in that order.
fn add_row(sum: vec4<f32>, values: vec4<f32>, b: mat4x4<f32>) -> vec4<f32> {
  return fma(vec4(values.w), b[3], fma(vec4(values.z), b[2], fma(vec4(values.y), b[1], fma(vec4(values.x), b[0], sum))));
}

fn add_rows(sums: mat4x4<f32>, own: vec4<f32>, source: u32, b: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4(
    add_row(sums[0], subgroupShuffle(own, source), b),
    add_row(sums[1], subgroupShuffle(own, source + 1), b),
    add_row(sums[2], subgroupShuffle(own, source + 2), b),
    add_row(sums[3], subgroupShuffle(own, source + 3), b),
  );
}

// Adds the products of four k; own holds them of the lane's rows, `first` is the first of the lanes that share rows. What 8
// lanes hold for two groups counts once: compilers leave out the other.
fn accumulate_rows(tile: ptr<function, Tile>, own: RowValues, first: u32, b: mat4x4<f32>) {
  (*tile).g0 = add_rows((*tile).g0, own.g0, first, b);
  if (ROWS > 4) {
    (*tile).g1 = add_rows((*tile).g1, select(own.g1, own.g0, COLUMNS == 8), first + 4 % COLUMNS, b);
  }
  if (ROWS > 8) {
    (*tile).g2 = add_rows((*tile).g2, own.g2, first, b);
    (*tile).g3 = add_rows((*tile).g3, select(own.g3, own.g2, COLUMNS == 8), first + 4 % COLUMNS, b);
  }
}
