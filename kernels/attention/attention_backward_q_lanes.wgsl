// attention backward, queries in lanes: dq[b, i, h] = scale * sum_j dS[i, j] k[p, j, h], dS = P * (dP - D), P and dP rebuilt
// from the statistics of attention_backward_rows_lanes.wgsl
//
// q, dout, dq [B, Nq, H * d], k, v [P, Nk, H * d] storage type T
// key_mask [B, Nk] 1 = attend; a masked score is a constant: no gradient
// context_of [B]; without it p = b * context_step
// statistics [3, B, H, Nq] f32
//
// For devices that compute on the CPU: a lane holds four queries of one head, keys come in blocks of 32 and are shuffled
// round (attention_lanes.wgsl). A head of more than CHANNELS channels is shared by several workgroups.
// Needs subgroups of at least 8 lanes, the first 8 of which exist. Sums f32.
enable subgroups;
//! include lib/fold.wgsl
//! include lib/online_softmax.wgsl
//! include lib/attention_score.wgsl
//! alias T
//! const CHANNELS
override WORKGROUP: u32 = 8;
override CAUSAL: bool = false;
override HAS_KEY_MASK: bool = false;
override HAS_CONTEXT_OF: bool = false;

const ROWS = 32u;
const LOADS = 4u;

struct Params {
  batch: u32,
  contexts: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  head_size: u32,
  context_step: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<T>;
@group(0) @binding(2) var<storage, read> k: array<T>;
@group(0) @binding(3) var<storage, read> v: array<T>;
@group(0) @binding(4) var<storage, read> dout: array<T>;
@group(0) @binding(5) var<storage, read> key_mask: array<u32>;
@group(0) @binding(6) var<storage, read> context_of: array<u32>;
@group(0) @binding(7) var<storage, read> statistics: array<f32>;
@group(0) @binding(8) var<storage, read_write> dq: array<T>;

var<private> sums: array<vec4f, CHANNELS>;

fn statistic(places: vec4u) -> vec4f {
  return vec4f(statistics[places.x], statistics[places.y], statistics[places.z], statistics[places.w]);
}

// Which of four queries a mask keeps from a key.
fn hidden_from(item: u32, key: u32, queries: vec4u) -> vec4<bool> {
  var result = vec4<bool>();
  if (CAUSAL) {
    result = vec4u(key) > queries;
  }
  if (HAS_KEY_MASK) {
    result = result | vec4<bool>(key_mask[item * params.keys + key] == 0u);
  }
  return result;
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
  let slices = (params.head_size + CHANNELS - 1u) / CHANNELS;
  let first_channel = index / blocks % slices * CHANNELS;
  let channels = min(CHANNELS, params.head_size - first_channel);
  let head = index / blocks / slices % params.heads;
  let item = index / blocks / slices / params.heads;
  if (item >= params.batch) {
    return;
  }
  let context = context_index(item);
  let first_query = index % blocks * 4u * WORKGROUP;
  let queries = first_query + local + vec4u(0u, 1u, 2u, 3u) * WORKGROUP;
  let last = vec4u(params.queries - 1u);
  let stride = params.heads * params.head_size;
  let rows = query_base(item, 0u, head) + min(queries, last) * stride;
  let places = row_index(item, 0u, head) + min(queries, last);
  let plane = params.batch * params.heads * params.queries;
  // A masked row needs all keys: it attends to them uniformly.
  var keys = params.keys;
  if (CAUSAL && !HAS_KEY_MASK) {
    keys = min(keys, first_query + 4u * WORKGROUP);
  }
  let m = statistic(places);
  let normal = statistic(plane + places);
  let mean = statistic(2u * plane + places);

  for (var first_key = 0u; first_key < keys; first_key += ROWS) {
    var bases: array<u32, LOADS>;
    var y: array<f32, LOADS>;
    var dy: array<f32, LOADS>;
    for (var l = 0u; l < LOADS; l++) {
      bases[l] = key_base(context, min(first_key + 8u * l + (invocation & 7u), params.keys - 1u), head);
    }
    var s = array<vec4f, ROWS>();
    var dp = array<vec4f, ROWS>();
    for (var c = 0u; c < params.head_size; c++) {
      let x = vec4f(f32(q[rows.x + c]), f32(q[rows.y + c]), f32(q[rows.z + c]), f32(q[rows.w + c]));
      let dx = vec4f(f32(dout[rows.x + c]), f32(dout[rows.y + c]), f32(dout[rows.z + c]), f32(dout[rows.w + c]));
      for (var l = 0u; l < LOADS; l++) {
        y[l] = f32(k[bases[l] + c]);
        dy[l] = f32(v[bases[l] + c]);
      }
      for (var l = 0u; l < LOADS; l++) {
        for (var i = 0u; i < 8u; i++) {
          s[8u * l + i] += x * subgroupShuffle(y[l], i);
          dp[8u * l + i] += dx * subgroupShuffle(dy[l], i);
        }
      }
    }
    for (var j = 0u; j < ROWS; j++) {
      if (first_key + j >= params.keys) {
        s[j] = vec4f();
        continue;
      }
      s[j] = softmax_weight(s[j], m, params.scale) * normal * (dp[j] - mean);
      if (CAUSAL || HAS_KEY_MASK) {
        s[j] = select(s[j], vec4f(), hidden_from(item, first_key + j, queries));
      }
    }
    for (var c = 0u; c < channels; c++) {
      var sum = sums[c];
      for (var l = 0u; l < LOADS; l++) {
        y[l] = f32(k[bases[l] + first_channel + c]);
      }
      for (var l = 0u; l < LOADS; l++) {
        for (var i = 0u; i < 8u; i++) {
          sum += s[8u * l + i] * subgroupShuffle(y[l], i);
        }
      }
      sums[c] = sum;
    }
  }

  for (var c = 0u; c < channels; c++) {
    for (var r = 0u; r < 4u; r++) {
      if (queries[r] < params.queries) {
        dq[rows[r] + first_channel + c] = T(params.scale * sums[c][r]);
      }
    }
  }
}
