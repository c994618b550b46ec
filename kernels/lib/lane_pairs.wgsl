// Products of rows whose values the lanes of a subgroup hold, one k each (row_tile.wgsl). Two k at a time: the
// accumulators are read and written half as often, which on lavapipe is a sixth of the time.
//! include lib/row_tile.wgsl
enable subgroups;

fn add_pair(sums: mat4x4<f32>, values: vec4<f32>, source: u32, b0: vec4<f32>, b1: vec4<f32>) -> mat4x4<f32> {
  return add_outer(add_outer(sums, subgroupShuffle(values, source), b0), subgroupShuffle(values, source + 1), b1);
}

// Adds the values of lanes `source` and `source + 1` times four columns of their two rows of b.
fn accumulate_pair(tile: ptr<function, Tile>, values: RowValues, source: u32, b0: vec4<f32>, b1: vec4<f32>) {
  (*tile).g0 = add_pair((*tile).g0, values.g0, source, b0, b1);
  if (ROWS > 4) {
    (*tile).g1 = add_pair((*tile).g1, values.g1, source, b0, b1);
  }
  if (ROWS > 8) {
    (*tile).g2 = add_pair((*tile).g2, values.g2, source, b0, b1);
    (*tile).g3 = add_pair((*tile).g3, values.g3, source, b0, b1);
  }
}
