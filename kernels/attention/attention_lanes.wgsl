// attention, queries in lanes: out[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, h] + mask) v[b, j, h]
// Shapes: lib/attention_io.wgsl
//
// A lane holds four queries of one head, keys come in blocks (lib/attention_block.wgsl). Sums and softmax state f32.
//! include lib/fold.wgsl
//! include lib/attention_io.wgsl
//! include lib/attention_block.wgsl

var<private> sums: array<vec4f, CHANNELS>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let part = part_of(flat_workgroup(workgroup, workgroups), params.queries);
  let batch = part.item;
  if (batch >= params.batch) {
    return;
  }
  let queries = rows_of_lane(part, local);
  let stride = params.heads * params.head_size;
  let head_base = part.head * params.head_size;
  let rows = (batch * params.queries + min(queries, vec4u(params.queries - 1u))) * stride + head_base;
  // A masked row needs all keys: it attends to them uniformly.
  var keys = params.keys;
  if (CAUSAL && !HAS_KEY_MASK) {
    keys = min(keys, part.first_row + 4u * WORKGROUP);
  }

  var m = vec4f(MASKED);
  var total = vec4f();
  for (var first_key = 0u; first_key < keys; first_key += BLOCK) {
    var bases: array<u32, LOADS>;
    for (var l = 0u; l < LOADS; l++) {
      let key = min(first_key + 8u * l + (invocation & 7u), params.keys - 1u);
      bases[l] = (batch * params.keys + key) * stride + head_base;
    }
    var p = Block();
    var y: Loaded;
    for (var c = 0u; c < params.head_size; c++) {
      let x = vec4f(f32(q[rows.x + c]), f32(q[rows.y + c]), f32(q[rows.z + c]), f32(q[rows.w + c]));
      for (var l = 0u; l < LOADS; l++) {
        y[l] = f32(k[bases[l] + c]);
      }
      add_products(&p, x, &y);
    }
    var largest = m;
    for (var j = 0u; j < BLOCK; j++) {
      if (first_key + j >= params.keys) {
        p[j] = vec4f(OUTSIDE);
      } else if (CAUSAL || HAS_KEY_MASK) {
        p[j] = select(p[j], vec4f(MASKED), hidden_from(batch, first_key + j, queries));
      }
      largest = max(largest, p[j]);
    }
    let factor = softmax_weight(m, largest, params.scale);
    m = largest;
    total *= factor;
    for (var j = 0u; j < BLOCK; j++) {
      p[j] = softmax_weight(p[j], m, params.scale);
      total += p[j];
    }
    for (var c = 0u; c < part.channels; c++) {
      for (var l = 0u; l < LOADS; l++) {
        y[l] = f32(v[bases[l] + part.first_channel + c]);
      }
      sums[c] = add_weighted(sums[c] * factor, &p, &y);
    }
  }

  for (var c = 0u; c < part.channels; c++) {
    let mean = sums[c] / total;
    for (var r = 0u; r < 4u; r++) {
      if (queries[r] < params.queries) {
        out[rows[r] + part.first_channel + c] = T(mean[r]);
      }
    }
  }
  if (SAVE_STATISTICS && part.first_channel == 0u) {
    save_rows(batch, part.head, queries, m, 1.0 / total);
  }
}
