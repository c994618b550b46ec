// What attention saves of a row of scores for its backward pass, where SAVE_STATISTICS: statistics [2, B, H, Nq] f32, the
// largest unscaled score m and 1 / sum_j exp(scale * (s[j] - m)). Not their log-sum-exp: beside the score of masked keys
// the logarithm would be lost.
// The kernel that includes this declares statistics and params (batch, heads, queries).
override SAVE_STATISTICS: bool = false;

fn save_row(item: u32, head: u32, query: u32, largest: f32, normal: f32) {
  let row = (item * params.heads + head) * params.queries + query;
  statistics[row] = largest;
  statistics[params.batch * params.heads * params.queries + row] = normal;
}

// Of those of four rows that exist.
fn save_rows(item: u32, head: u32, queries: vec4u, largest: vec4f, normal: vec4f) {
  for (var r = 0u; r < 4u; r++) {
    if (queries[r] < params.queries) {
      save_row(item, head, queries[r], largest[r], normal[r]);
    }
  }
}
