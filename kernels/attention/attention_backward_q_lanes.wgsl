// attention backward, queries in lanes: dq[b, i, h] = scale * sum_j dS[i, j] k[p, j, h] (lib/attention_gradient.wgsl says
// dS, bindings and shapes); dq [B, Nq, H * d] storage type T
//
// A lane holds four queries of one head, keys come in blocks (lib/attention_block.wgsl). Sums f32.
// Holds in registers 2 * BLOCK vec4f, in private memory CHANNELS vec4f. Needs subgroups of at least 8 lanes.
//! include lib/fold.wgsl
//! include lib/attention_block.wgsl
//! include lib/attention_gradient.wgsl

@group(0) @binding(7) var<storage, read_write> dq: array<T>;

var<private> sums: array<vec4f, CHANNELS>;

fn statistic(places: vec4u) -> vec4f {
  return vec4f(statistics[places.x], statistics[places.y], statistics[places.z], statistics[places.w]);
}

// Which of four queries see nothing of a key: those that a mask keeps from it, all where there is no such key.
fn hidden_from(item: u32, key: u32, queries: vec4u) -> vec4<bool> {
  let hidden = vec4<bool>(key >= params.keys || masked_key(item, min(key, params.keys - 1u)));
  return hidden | (vec4<bool>(CAUSAL) & (vec4u(key) > queries));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let part = part_of(flat_workgroup(workgroup, workgroups), params.queries);
  let item = part.item;
  if (item >= params.batch) {
    return;
  }
  let context = context_index(item);
  let queries = rows_of_lane(part, local);
  let last = vec4u(params.queries - 1u);
  let rows = query_base(item, 0u, part.head) + min(queries, last) * params.heads * params.head_size;
  let places = row_index(item, 0u, part.head) + min(queries, last);
  let m = statistic(places);
  let normal = statistic(plane_size() + places);
  let mean_dp = statistic(2u * plane_size() + places);
  var keys = params.keys;
  if (CAUSAL) {
    keys = min(keys, part.first_row + 4u * WORKGROUP);
  }

  for (var first_key = 0u; first_key < keys; first_key += BLOCK) {
    var bases: array<u32, LOADS>;
    for (var l = 0u; l < LOADS; l++) {
      bases[l] = key_base(context, min(first_key + 8u * l + (invocation & 7u), params.keys - 1u), part.head);
    }
    var scores = Block();
    var dp = Block();
    var keys_read: Loaded;
    var values_read: Loaded;
    for (var c = 0u; c < params.head_size; c++) {
      let query = vec4f(f32(q[rows.x + c]), f32(q[rows.y + c]), f32(q[rows.z + c]), f32(q[rows.w + c]));
      let d_out = vec4f(f32(dout[rows.x + c]), f32(dout[rows.y + c]), f32(dout[rows.z + c]), f32(dout[rows.w + c]));
      for (var l = 0u; l < LOADS; l++) {
        keys_read[l] = f32(k[bases[l] + c]);
        values_read[l] = f32(v[bases[l] + c]);
      }
      add_products(&scores, query, &keys_read);
      add_products(&dp, d_out, &values_read);
    }
    // dS takes the registers of the scores.
    for (var j = 0u; j < BLOCK; j++) {
      let p = softmax_weight(scores[j], m, params.scale) * normal;
      scores[j] = select(p * (dp[j] - mean_dp), vec4f(), hidden_from(item, first_key + j, queries));
    }
    for (var c = 0u; c < part.channels; c++) {
      for (var l = 0u; l < LOADS; l++) {
        keys_read[l] = f32(k[bases[l] + part.first_channel + c]);
      }
      sums[c] = add_weighted(sums[c], &scores, &keys_read);
    }
  }

  for (var c = 0u; c < part.channels; c++) {
    for (var r = 0u; r < 4u; r++) {
      if (queries[r] < params.queries) {
        dq[rows[r] + part.first_channel + c] = T(params.scale * sums[c][r]);
      }
    }
  }
}
