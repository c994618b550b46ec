// attention backward, keys and values, keys in lanes; sums over the items b of context p and their queries i
// (lib/attention_gradient.wgsl says P, dS, bindings and shapes); dk, dv [P, Nk, H * d] storage type T
//   dk[p, j, h] = scale * sum_b sum_i dS[i, j] q[b, i, h]
//   dv[p, j, h] = sum_b sum_i P[i, j] dout[b, i, h]
//
// A lane holds four keys of one head, queries come in blocks (lib/attention_block.wgsl), items and blocks in ascending
// order. Sums f32. Holds in registers 2 * BLOCK vec4f, in private memory 2 * CHANNELS vec4f. Needs subgroups of at least 8
// lanes.
//! include lib/fold.wgsl
//! include lib/attention_block.wgsl
//! include lib/attention_gradient.wgsl

@group(0) @binding(7) var<storage, read_write> dk: array<T>;
@group(0) @binding(8) var<storage, read_write> dv: array<T>;

var<private> k_sums: array<vec4f, CHANNELS>;
var<private> v_sums: array<vec4f, CHANNELS>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let part = part_of(flat_workgroup(workgroup, workgroups), params.keys);
  let context = part.item;
  if (context >= params.contexts) {
    return;
  }
  let keys = rows_of_lane(part, local);
  let clamped = min(keys, vec4u(params.keys - 1u));
  let rows = key_base(context, 0u, part.head) + clamped * params.heads * params.head_size;
  // Earlier queries see none of these keys, but for masked rows, which attend to all.
  var start = 0u;
  if (CAUSAL && !HAS_KEY_MASK) {
    start = part.first_row;
  }

  let items = items_of(context);
  for (var item = items.x; item < items.y; item++) {
    if (context_index(item) != context) {
      continue;
    }
    let masked = vec4<bool>(masked_key(item, clamped.x), masked_key(item, clamped.y), masked_key(item, clamped.z), masked_key(item, clamped.w));
    for (var first_query = start; first_query < params.queries; first_query += BLOCK) {
      var bases: array<u32, LOADS>;
      var m: Loaded;
      var normal: Loaded;
      var mean_dp: Loaded;
      for (var l = 0u; l < LOADS; l++) {
        let query = first_query + 8u * l + (invocation & 7u);
        let row = row_index(item, min(query, params.queries - 1u), part.head);
        bases[l] = query_base(item, min(query, params.queries - 1u), part.head);
        m[l] = statistics[row];
        normal[l] = select(0.0, statistics[plane_size() + row], query < params.queries);
        mean_dp[l] = statistics[2u * plane_size() + row];
      }
      var scores = Block();
      var dp = Block();
      var queries_read: Loaded;
      var d_out_read: Loaded;
      for (var c = 0u; c < params.head_size; c++) {
        let key = vec4f(f32(k[rows.x + c]), f32(k[rows.y + c]), f32(k[rows.z + c]), f32(k[rows.w + c]));
        let value = vec4f(f32(v[rows.x + c]), f32(v[rows.y + c]), f32(v[rows.z + c]), f32(v[rows.w + c]));
        for (var l = 0u; l < LOADS; l++) {
          queries_read[l] = f32(q[bases[l] + c]);
          d_out_read[l] = f32(dout[bases[l] + c]);
        }
        add_products(&scores, key, &queries_read);
        add_products(&dp, value, &d_out_read);
      }
      // P takes the registers of the scores, dS those of dP.
      for (var l = 0u; l < LOADS; l++) {
        for (var i = 0u; i < 8u; i++) {
          let j = 8u * l + i;
          let hidden = masked | (vec4<bool>(CAUSAL) & (keys > vec4u(first_query + j)));
          let s = select(scores[j], vec4f(MASKED), hidden);
          scores[j] = softmax_weight(s, vec4f(subgroupShuffle(m[l], i)), params.scale) * subgroupShuffle(normal[l], i);
          dp[j] = select(scores[j] * (dp[j] - subgroupShuffle(mean_dp[l], i)), vec4f(), hidden);
        }
      }
      for (var c = 0u; c < part.channels; c++) {
        for (var l = 0u; l < LOADS; l++) {
          queries_read[l] = f32(q[bases[l] + part.first_channel + c]);
          d_out_read[l] = f32(dout[bases[l] + part.first_channel + c]);
        }
        k_sums[c] = add_weighted(k_sums[c], &dp, &queries_read);
        v_sums[c] = add_weighted(v_sums[c], &scores, &d_out_read);
      }
    }
  }

  for (var c = 0u; c < part.channels; c++) {
    for (var r = 0u; r < 4u; r++) {
      if (keys[r] < params.keys) {
        dk[rows[r] + part.first_channel + c] = T(params.scale * k_sums[c][r]);
        dv[rows[r] + part.first_channel + c] = T(v_sums[c][r]);
      }
    }
  }
}
