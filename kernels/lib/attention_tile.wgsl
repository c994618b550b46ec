// Tiles of attention in workgroup memory. A workgroup of 8 * ROW_GROUPS invocations works on 4 * ROW_GROUPS queries:
// invocation (row_group, column_group) on the 4 queries of its row group (a vec4) against 4 of 32 keys, or against COLS of
// 8 * COLS channels of the values. Tiles are 32 deep, in channels for scores and in keys for values; rows of a tile are
// PITCH apart, so that the reads of a subgroup fall into different banks.
// The kernel that includes this declares q, k, v, params (queries, keys, heads, head_size), T, COLS (at most 5) and
// ROW_GROUPS. Workgroup memory: 656 * ROW_GROUPS + 5280 bytes.

const DEPTH = 32u;
const PITCH = 33u;
const COLUMN_GROUPS = 8u;

// [row group][channel]: queries; [row group][key]: weights.
var<workgroup> left: array<vec4f, ROW_GROUPS * PITCH>;
// [key][channel]: keys; [channel][key]: values.
var<workgroup> right: array<f32, 40u * PITCH>;
var<workgroup> partials: array<vec4f, ROW_GROUPS * COLUMN_GROUPS>;

// Of the 32 channels from `channel` on (counted over all heads) of the workgroup's queries; `row` is the first one's.
fn load_queries(row: u32, last_row: u32, channel: u32, local: u32) {
  let stride = params.heads * params.head_size;
  let c = min(channel + local % DEPTH, stride - 1u);
  for (var group = local / DEPTH; group < ROW_GROUPS; group += ROW_GROUPS * COLUMN_GROUPS / DEPTH) {
    let rows = min(row + 4u * group + vec4u(0u, 1u, 2u, 3u), vec4u(last_row)) * stride + c;
    left[group * PITCH + local % DEPTH] = vec4f(f32(q[rows.x]), f32(q[rows.y]), f32(q[rows.z]), f32(q[rows.w]));
  }
}

// Of the 32 channels from `channel` on, of the 32 keys from row `row` on.
fn load_keys(row: u32, last_row: u32, channel: u32, local: u32) {
  let stride = params.heads * params.head_size;
  let c = min(channel + local % DEPTH, stride - 1u);
  for (var key = local / DEPTH; key < DEPTH; key += ROW_GROUPS * COLUMN_GROUPS / DEPTH) {
    right[key * PITCH + local % DEPTH] = f32(k[min(row + key, last_row) * stride + c]);
  }
}

// Of the 8 * COLS channels from `channel` on, of the 32 keys from row `row` on.
fn load_values(row: u32, last_row: u32, channel: u32, local: u32) {
  let stride = params.heads * params.head_size;
  for (var i = local; i < COLUMN_GROUPS * COLS * DEPTH; i += ROW_GROUPS * COLUMN_GROUPS) {
    let c = i % (COLUMN_GROUPS * COLS);
    let key = i / (COLUMN_GROUPS * COLS);
    right[c * PITCH + key] = f32(v[min(row + key, last_row) * stride + min(channel + c, stride - 1u)]);
  }
}

// Scores of four keys, one a column, after `depth` more channels.
fn add_scores(scores: mat4x4f, depth: u32, row_group: u32, column_group: u32) -> mat4x4f {
  var sums = scores;
  let column = 4u * column_group * PITCH;
  for (var c = 0u; c < depth; c++) {
    let x = left[row_group * PITCH + c];
    sums[0] += x * right[column + c];
    sums[1] += x * right[column + PITCH + c];
    sums[2] += x * right[column + 2u * PITCH + c];
    sums[3] += x * right[column + 3u * PITCH + c];
  }
  return sums;
}

// Scores of four keys from `first_key` on (counted from the context's first), the ones past the last key outside.
fn without_outside(scores: mat4x4f, first_key: u32) -> mat4x4f {
  var kept = scores;
  for (var j = 0u; j < 4u; j++) {
    if (first_key + j >= params.keys) {
      kept[j] = vec4f(OUTSIDE);
    }
  }
  return kept;
}

fn softmax_weights(scores: mat4x4f, largest: vec4f, scale: f32) -> mat4x4f {
  return mat4x4f(
    softmax_weight(scores[0], largest, scale),
    softmax_weight(scores[1], largest, scale),
    softmax_weight(scores[2], largest, scale),
    softmax_weight(scores[3], largest, scale),
  );
}

fn store_weights(weights: mat4x4f, row_group: u32, column_group: u32) {
  for (var j = 0u; j < 4u; j++) {
    left[row_group * PITCH + 4u * column_group + j] = weights[j];
  }
}

// Largest of `value` over the column groups of a row group; all invocations must call it.
fn row_max(value: vec4f, row_group: u32, column_group: u32) -> vec4f {
  partials[row_group * COLUMN_GROUPS + column_group] = value;
  workgroupBarrier();
  var largest = partials[row_group * COLUMN_GROUPS];
  for (var i = 1u; i < COLUMN_GROUPS; i++) {
    largest = max(largest, partials[row_group * COLUMN_GROUPS + i]);
  }
  workgroupBarrier();
  return largest;
}

// Sum of `value` over the column groups of a row group, in a fixed order; all invocations must call it.
fn row_sum(value: vec4f, row_group: u32, column_group: u32) -> vec4f {
  partials[row_group * COLUMN_GROUPS + column_group] = value;
  workgroupBarrier();
  var sum = partials[row_group * COLUMN_GROUPS];
  for (var i = 1u; i < COLUMN_GROUPS; i++) {
    sum += partials[row_group * COLUMN_GROUPS + i];
  }
  workgroupBarrier();
  return sum;
}
