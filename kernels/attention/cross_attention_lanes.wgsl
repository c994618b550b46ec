// cross attention with capture, queries in lanes: P[b, h, i, j] = softmax_j(scale * q[b, i, h] . k[p, j, h])
//   out[b, i, h] = sum_j P[b, h, i, j] v[p, j, h]
//   captured[b, s, i] = sum_j weights[p, s, j] sum_h P[b, h, i, j] / H
// Shapes: lib/cross_attention_io.wgsl
//
// For devices that compute on the CPU: no workgroup memory, no barrier, few loads. A lane holds four queries and goes
// through all heads. The keys of a context are so few (at most 16 * LOADS) that all scores of a head stay in registers, in
// loops of constant length that compilers unroll; so do the sums of P over heads: an addition a score, to which the sets'
// weights are applied once, after the last head. (Measured on lavapipe: this costs 3 %, and 0.1 % a set; a column of
// values for every set costs 1 % a set, sums for three sets in registers 2 to 4 %, sums of P in a private array 45 %.) Each
// of the first eight lanes loads one channel of 2 * LOADS keys and the subgroup shuffles them round, so that every number
// loaded meets 32 queries. All loads come before the arithmetic, since each is a loop over the lanes there.
// Needs subgroups of at least 8 lanes, the first 8 of which exist. Sums and softmax state f32.
enable subgroups;
//! include lib/fold.wgsl
//! include lib/cross_attention_io.wgsl
//! const LOADS
override WORKGROUP: u32 = 8;

// What a lane knows of half the keys: [l][i] of key 8 * l + i, from LOADS * 8 on in the second half. Halves, since
// compilers leave longer loops rolled.
alias Half = array<array<vec4f, 8>, LOADS>;
// Of each load, the number that this lane read.
alias Loaded = array<f32, LOADS>;

fn set_weight(context: u32, s: u32, key: u32) -> f32 {
  if (CAPTURE == 2u) {
    return f32(key == s);
  }
  return weights[(context * params.sets + s) * params.keys + key];
}

fn add_scores(p: ptr<function, Half>, x: vec4f, y: ptr<function, Loaded>) {
  for (var l = 0u; l < LOADS; l++) {
    for (var i = 0u; i < 8u; i++) {
      (*p)[l][i] += x * subgroupShuffle((*y)[l], i);
    }
  }
}

fn largest_score(p: ptr<function, Half>, first_key: u32) -> vec4f {
  var largest = vec4f(MASKED);
  for (var l = 0u; l < LOADS; l++) {
    for (var i = 0u; i < 8u; i++) {
      if (first_key + 8u * l + i >= params.keys) {
        (*p)[l][i] = vec4f(OUTSIDE);
      }
      largest = max(largest, (*p)[l][i]);
    }
  }
  return largest;
}

// Turns scores into weights relative to the score m and returns their sum.
fn exponentiate(p: ptr<function, Half>, m: vec4f) -> vec4f {
  var total = vec4f();
  for (var l = 0u; l < LOADS; l++) {
    for (var i = 0u; i < 8u; i++) {
      (*p)[l][i] = softmax_weight((*p)[l][i], m, params.scale);
      total += (*p)[l][i];
    }
  }
  return total;
}

fn add_scaled(sums: ptr<function, Half>, p: ptr<function, Half>, factor: vec4f) {
  for (var l = 0u; l < LOADS; l++) {
    for (var i = 0u; i < 8u; i++) {
      (*sums)[l][i] += (*p)[l][i] * factor;
    }
  }
}

// By the keys of a load at a time: in one chain of sums over all keys, each addition would wait for the one before.
fn weighted_sum(p: ptr<function, Half>, y: ptr<function, Loaded>) -> vec4f {
  var sum = vec4f();
  for (var l = 0u; l < LOADS; l++) {
    var part = vec4f();
    for (var i = 0u; i < 8u; i++) {
      part += (*p)[l][i] * subgroupShuffle((*y)[l], i);
    }
    sum += part;
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let index = flat_workgroup(workgroup, workgroups);
  let blocks = (params.queries + 4u * WORKGROUP - 1u) / (4u * WORKGROUP);
  let batch = index / blocks;
  if (batch >= params.batch) {
    return;
  }
  var context = batch * params.context_step;
  if (HAS_CONTEXT_OF) {
    context = context_of[batch];
  }
  let queries = index % blocks * 4u * WORKGROUP + local + vec4u(0u, 1u, 2u, 3u) * WORKGROUP;
  let stride = params.heads * params.head_size;
  let rows = (batch * params.queries + min(queries, vec4u(params.queries - 1u))) * stride;
  var near_keys: array<u32, LOADS>;
  var far_keys: array<u32, LOADS>;
  for (var l = 0u; l < LOADS; l++) {
    near_keys[l] = min(8u * l + (invocation & 7u), params.keys - 1u);
    far_keys[l] = min(8u * (LOADS + l) + (invocation & 7u), params.keys - 1u);
  }
  let first_key = context * params.keys;

  var near_sums = Half();
  var far_sums = Half();
  var near_loads: Loaded;
  var far_loads: Loaded;
  for (var channel = 0u; channel < stride; channel += params.head_size) {
    var near = Half();
    var far = Half();
    for (var c = channel; c < channel + params.head_size; c++) {
      for (var l = 0u; l < LOADS; l++) {
        near_loads[l] = f32(k[(first_key + near_keys[l]) * stride + c]);
        far_loads[l] = f32(k[(first_key + far_keys[l]) * stride + c]);
      }
      let x = vec4f(f32(q[rows.x + c]), f32(q[rows.y + c]), f32(q[rows.z + c]), f32(q[rows.w + c]));
      add_scores(&near, x, &near_loads);
      add_scores(&far, x, &far_loads);
    }
    let m = max(largest_score(&near, 0u), largest_score(&far, 8u * LOADS));
    let normal = 1.0 / (exponentiate(&near, m) + exponentiate(&far, m));
    if (SAVE_STATISTICS) {
      save_rows(batch, channel / params.head_size, queries, m, normal);
    }
    if (CAPTURE > 0u) {
      add_scaled(&near_sums, &near, normal);
      add_scaled(&far_sums, &far, normal);
    }
    for (var c = channel; c < channel + params.head_size; c++) {
      for (var l = 0u; l < LOADS; l++) {
        near_loads[l] = f32(v[(first_key + near_keys[l]) * stride + c]);
        far_loads[l] = f32(v[(first_key + far_keys[l]) * stride + c]);
      }
      let mean = (weighted_sum(&near, &near_loads) + weighted_sum(&far, &far_loads)) * normal;
      for (var r = 0u; r < 4u; r++) {
        if (queries[r] < params.queries) {
          out[rows[r] + c] = T(mean[r]);
        }
      }
    }
  }

  if (CAPTURE > 0u) {
    for (var s = 0u; s < params.sets; s++) {
      for (var l = 0u; l < LOADS; l++) {
        near_loads[l] = set_weight(context, s, near_keys[l]);
        far_loads[l] = set_weight(context, s, far_keys[l]);
      }
      let mean = (weighted_sum(&near_sums, &near_loads) + weighted_sum(&far_sums, &far_loads)) / f32(params.heads);
      for (var r = 0u; r < 4u; r++) {
        if (queries[r] < params.queries) {
          captured[(batch * params.sets + s) * params.queries + queries[r]] = mean[r];
        }
      }
    }
  }
}
