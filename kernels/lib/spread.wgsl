// Rows' values from one lane to all (row_tile.wgsl).
//! include lib/row_tile.wgsl
enable subgroups;

// The values that lane `source` of the subgroup holds.
fn spread(values: RowValues, source: u32) -> RowValues {
  return RowValues(
    subgroupShuffle(values.g0, source),
    subgroupShuffle(values.g1, source),
    subgroupShuffle(values.g2, source),
    subgroupShuffle(values.g3, source),
  );
}
