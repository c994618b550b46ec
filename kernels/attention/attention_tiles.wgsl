// attention, tiles: out[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, h] + mask) v[b, j, h]
// Shapes: lib/attention_io.wgsl
//
// For GPUs, in the manner of FlashAttention-2: a workgroup keeps 4 * ROW_GROUPS queries of one head and goes over the keys
// in tiles of 32, with an online softmax; scores, sums and softmax state stay in registers, tiles of q, k, v and the
// weights in workgroup memory (attention_tile.wgsl). An invocation sums the values of CHUNKS * COLS channels; where the
// head has more than CHUNKS chunks of 8 * COLS channels, several workgroups share them and each computes the scores anew.
// Sums and softmax state f32.
//! include lib/fold.wgsl
//! include lib/attention_io.wgsl
//! include lib/attention_tile.wgsl
//! const COLS
//! const CHUNKS
override ROW_GROUPS: u32 = 16;

@compute @workgroup_size(ROW_GROUPS * 8)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row_group = local / COLUMN_GROUPS;
  let column_group = local % COLUMN_GROUPS;
  let index = flat_workgroup(workgroup, workgroups);
  let blocks = (params.queries + 4u * ROW_GROUPS - 1u) / (4u * ROW_GROUPS);
  let width = CHUNKS * COLUMN_GROUPS * COLS;
  let slices = (params.head_size + width - 1u) / width;
  let first_query = index % blocks * 4u * ROW_GROUPS;
  let first_channel = index / blocks % slices * width;
  let head = index / blocks / slices % params.heads;
  let batch = index / blocks / slices / params.heads;
  if (batch >= params.batch) {
    return;
  }
  let queries = first_query + 4u * row_group + vec4u(0u, 1u, 2u, 3u);
  let head_base = head * params.head_size;
  let row = batch * params.queries;
  let last_row = row + params.queries - 1u;
  let key_row = batch * params.keys;
  let last_key_row = key_row + params.keys - 1u;
  // A masked row needs all keys: it attends to them uniformly.
  var keys = params.keys;
  if (CAUSAL && !HAS_KEY_MASK) {
    keys = min(keys, first_query + 4u * ROW_GROUPS);
  }

  var m = vec4f(MASKED);
  var total = vec4f();
  var sums: array<vec4f, CHUNKS * COLS>;
  for (var first_key = 0u; first_key < keys; first_key += DEPTH) {
    var p = mat4x4f();
    for (var c = 0u; c < params.head_size; c += DEPTH) {
      workgroupBarrier();
      load_queries(row + first_query, last_row, head_base + c, local);
      load_keys(key_row + first_key, last_key_row, head_base + c, local);
      workgroupBarrier();
      p = add_scores(p, min(DEPTH, params.head_size - c), row_group, column_group);
    }
    let key = first_key + 4u * column_group;
    p = without_outside(p, key);
    if (CAUSAL || HAS_KEY_MASK) {
      for (var j = 0u; j < 4u; j++) {
        if (key + j < params.keys) {
          p[j] = select(p[j], vec4f(MASKED), hidden_from(batch, key + j, queries));
        }
      }
    }
    let largest = max(m, row_max(max(max(p[0], p[1]), max(p[2], p[3])), row_group, column_group));
    let factor = softmax_weight(m, largest, params.scale);
    m = largest;
    p = softmax_weights(p, m, params.scale);
    total = total * factor + p[0] + p[1] + p[2] + p[3];
    store_weights(p, row_group, column_group);
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      load_values(key_row + first_key, last_key_row, head_base + first_channel + chunk * COLUMN_GROUPS * COLS, local);
      workgroupBarrier();
      for (var i = 0u; i < COLS; i++) {
        sums[chunk * COLS + i] *= factor;
      }
      for (var j = 0u; j < DEPTH; j++) {
        let x = left[row_group * PITCH + j];
        for (var i = 0u; i < COLS; i++) {
          sums[chunk * COLS + i] += x * right[(COLS * column_group + i) * PITCH + j];
        }
      }
    }
  }

  total = row_sum(total, row_group, column_group);
  if (SAVE_STATISTICS && first_channel == 0u && column_group == 0u) {
    save_rows(batch, head, queries, m, 1.0 / total);
  }
  for (var chunk = 0u; chunk < CHUNKS; chunk++) {
    for (var i = 0u; i < COLS; i++) {
      let channel = first_channel + (chunk * COLUMN_GROUPS + column_group) * COLS + i;
      let mean = sums[chunk * COLS + i] / total;
      for (var r = 0u; r < 4u; r++) {
        if (channel < params.head_size && queries[r] < params.queries) {
          out[(row + queries[r]) * params.heads * params.head_size + head_base + channel] = T(mean[r]);
        }
      }
    }
  }
}
