// cross attention with capture, tiles: P[b, h, i, j] = softmax_j(scale * q[b, i, h] . k[p, j, h])
//   out[b, i, h] = sum_j P[b, h, i, j] v[p, j, h]
//   captured[b, s, i] = sum_j weights[p, s, j] sum_h P[b, h, i, j] / H
// Shapes: lib/cross_attention_io.wgsl
//
// For GPUs: a workgroup keeps 4 * ROW_GROUPS queries and goes through all heads. The keys of a context are few (at most
// 32 * TILES), so an invocation holds the scores of its 4 queries and 4 * TILES keys in registers, and beside them the sums
// of their P over heads: capture is one addition a score, and the sets' weights are applied once, after the last head.
// Tiles of q, k, v and the weights of values are in workgroup memory (attention_tile.wgsl). Sums and softmax state f32.
//! include lib/fold.wgsl
//! include lib/cross_attention_io.wgsl
//! include lib/attention_tile.wgsl
//! const COLS
//! const TILES
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
  let first_query = index % blocks * 4u * ROW_GROUPS;
  let batch = index / blocks;
  if (batch >= params.batch) {
    return;
  }
  var context = batch * params.context_step;
  if (HAS_CONTEXT_OF) {
    context = context_of[batch];
  }
  let queries = first_query + 4u * row_group + vec4u(0u, 1u, 2u, 3u);
  let stride = params.heads * params.head_size;
  let row = batch * params.queries;
  let last_row = row + params.queries - 1u;
  let key_row = context * params.keys;
  let last_key_row = key_row + params.keys - 1u;

  var p_sums = array<mat4x4f, TILES>();
  for (var head_base = 0u; head_base < stride; head_base += params.head_size) {
    var p = array<mat4x4f, TILES>();
    for (var c = 0u; c < params.head_size; c += DEPTH) {
      for (var tile = 0u; tile < TILES; tile++) {
        workgroupBarrier();
        if (tile == 0u) {
          load_queries(row + first_query, last_row, head_base + c, local);
        }
        load_keys(key_row + tile * DEPTH, last_key_row, head_base + c, local);
        workgroupBarrier();
        p[tile] = add_scores(p[tile], min(DEPTH, params.head_size - c), row_group, column_group);
      }
    }
    var m = vec4f(MASKED);
    for (var tile = 0u; tile < TILES; tile++) {
      p[tile] = without_outside(p[tile], tile * DEPTH + 4u * column_group);
      m = max(m, max(max(p[tile][0], p[tile][1]), max(p[tile][2], p[tile][3])));
    }
    m = row_max(m, row_group, column_group);
    var total = vec4f();
    for (var tile = 0u; tile < TILES; tile++) {
      p[tile] = softmax_weights(p[tile], m, params.scale);
      total += p[tile][0] + p[tile][1] + p[tile][2] + p[tile][3];
    }
    let normal = 1.0 / row_sum(total, row_group, column_group);
    if (SAVE_STATISTICS && column_group == 0u) {
      save_rows(batch, head_base / params.head_size, queries, m, normal);
    }
    if (CAPTURE > 0u) {
      for (var tile = 0u; tile < TILES; tile++) {
        for (var j = 0u; j < 4u; j++) {
          p_sums[tile][j] += p[tile][j] * normal;
        }
      }
    }
    for (var c = 0u; c < params.head_size; c += COLUMN_GROUPS * COLS) {
      var sums = array<vec4f, COLS>();
      for (var tile = 0u; tile < TILES; tile++) {
        workgroupBarrier();
        store_weights(p[tile], row_group, column_group);
        load_values(key_row + tile * DEPTH, last_key_row, head_base + c, local);
        workgroupBarrier();
        for (var j = 0u; j < DEPTH; j++) {
          let x = left[row_group * PITCH + j];
          for (var i = 0u; i < COLS; i++) {
            sums[i] += x * right[(COLS * column_group + i) * PITCH + j];
          }
        }
      }
      for (var i = 0u; i < COLS; i++) {
        let channel = c + COLS * column_group + i;
        let mean = sums[i] * normal;
        for (var r = 0u; r < 4u; r++) {
          if (channel < params.head_size && queries[r] < params.queries) {
            out[(row + queries[r]) * stride + head_base + channel] = T(mean[r]);
          }
        }
      }
    }
  }

  if (CAPTURE == 1u) {
    for (var s = 0u; s < params.sets; s++) {
      var sum = vec4f();
      for (var tile = 0u; tile < TILES; tile++) {
        for (var j = 0u; j < 4u; j++) {
          let key = min(tile * DEPTH + 4u * column_group + j, params.keys - 1u);
          sum += p_sums[tile][j] * weights[(context * params.sets + s) * params.keys + key];
        }
      }
      let mean = row_sum(sum, row_group, column_group) / f32(params.heads);
      let r = column_group;
      if (r < 4u && first_query + 4u * row_group + r < params.queries) {
        captured[(batch * params.sets + s) * params.queries + first_query + 4u * row_group + r] = mean[r];
      }
    }
  }
  if (CAPTURE == 2u) {
    for (var tile = 0u; tile < TILES; tile++) {
      for (var j = 0u; j < 4u; j++) {
        let key = tile * DEPTH + 4u * column_group + j;
        for (var r = 0u; r < 4u; r++) {
          if (key < params.keys && queries[r] < params.queries) {
            captured[(batch * params.keys + key) * params.queries + queries[r]] = p_sums[tile][j][r] / f32(params.heads);
          }
        }
      }
    }
  }
}
