// attention backward, keys in lanes: dk[p, j, h] = scale * sum over the items b of context p, sum_i dS[i, j] q[b, i, h],
// dS = P * (dP - D), P and dP rebuilt from the statistics of attention_backward_rows_lanes.wgsl
//
// q, dout [B, Nq, H * d], k, v, dk [P, Nk, H * d] storage type T
// key_mask [B, Nk] 1 = attend; a masked score is a constant: no gradient
// context_of [B]; without it p = b * context_step
// statistics [3, B, H, Nq] f32
//
// For devices that compute on the CPU: a lane holds four keys of one head, queries come in blocks of 32, items and blocks
// in ascending order, and are shuffled round as keys are in attention_lanes.wgsl. A head of more than CHANNELS channels is
// shared by several workgroups.
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
@group(0) @binding(8) var<storage, read_write> dk: array<T>;

var<private> sums: array<vec4f, CHANNELS>;

// Which of four keys a mask keeps from a query.
fn hidden_from(masked: vec4<bool>, query: u32, keys: vec4u) -> vec4<bool> {
  if (CAUSAL) {
    return masked | (keys > vec4u(query));
  }
  return masked;
}

// Which of four keys the key mask keeps from all queries of an item.
fn masked_keys(item: u32, keys: vec4u) -> vec4<bool> {
  if (!HAS_KEY_MASK) {
    return vec4<bool>();
  }
  let at = item * params.keys + min(keys, vec4u(params.keys - 1u));
  return vec4u(key_mask[at.x], key_mask[at.y], key_mask[at.z], key_mask[at.w]) == vec4u();
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let index = flat_workgroup(workgroup, workgroups);
  let blocks = (params.keys + 4u * WORKGROUP - 1u) / (4u * WORKGROUP);
  let slices = (params.head_size + CHANNELS - 1u) / CHANNELS;
  let first_channel = index / blocks % slices * CHANNELS;
  let channels = min(CHANNELS, params.head_size - first_channel);
  let head = index / blocks / slices % params.heads;
  let context = index / blocks / slices / params.heads;
  if (context >= params.contexts) {
    return;
  }
  let first_key = index % blocks * 4u * WORKGROUP;
  let keys = first_key + local + vec4u(0u, 1u, 2u, 3u) * WORKGROUP;
  let rows = key_base(context, 0u, head) + min(keys, vec4u(params.keys - 1u)) * params.heads * params.head_size;
  let plane = params.batch * params.heads * params.queries;
  // Earlier queries see none of these keys, but for masked rows, which attend to all.
  var start = 0u;
  if (CAUSAL && !HAS_KEY_MASK) {
    start = first_key;
  }

  let items = items_of(context);
  for (var item = items.x; item < items.y; item++) {
    if (context_index(item) != context) {
      continue;
    }
    let masked = masked_keys(item, keys);
    for (var first_query = start; first_query < params.queries; first_query += ROWS) {
      var bases: array<u32, LOADS>;
      var m: array<f32, LOADS>;
      var normal: array<f32, LOADS>;
      var mean: array<f32, LOADS>;
      var y: array<f32, LOADS>;
      var dy: array<f32, LOADS>;
      for (var l = 0u; l < LOADS; l++) {
        let query = first_query + 8u * l + (invocation & 7u);
        let row = row_index(item, min(query, params.queries - 1u), head);
        bases[l] = query_base(item, min(query, params.queries - 1u), head);
        m[l] = statistics[row];
        normal[l] = select(0.0, statistics[plane + row], query < params.queries);
        mean[l] = statistics[2u * plane + row];
      }
      var s = array<vec4f, ROWS>();
      var dp = array<vec4f, ROWS>();
      for (var c = 0u; c < params.head_size; c++) {
        let x = vec4f(f32(k[rows.x + c]), f32(k[rows.y + c]), f32(k[rows.z + c]), f32(k[rows.w + c]));
        let dx = vec4f(f32(v[rows.x + c]), f32(v[rows.y + c]), f32(v[rows.z + c]), f32(v[rows.w + c]));
        for (var l = 0u; l < LOADS; l++) {
          y[l] = f32(q[bases[l] + c]);
          dy[l] = f32(dout[bases[l] + c]);
        }
        for (var l = 0u; l < LOADS; l++) {
          for (var i = 0u; i < 8u; i++) {
            s[8u * l + i] += x * subgroupShuffle(y[l], i);
            dp[8u * l + i] += dx * subgroupShuffle(dy[l], i);
          }
        }
      }
      for (var l = 0u; l < LOADS; l++) {
        for (var i = 0u; i < 8u; i++) {
          let j = 8u * l + i;
          let p = softmax_weight(s[j], vec4f(subgroupShuffle(m[l], i)), params.scale) * subgroupShuffle(normal[l], i);
          s[j] = p * (dp[j] - subgroupShuffle(mean[l], i));
          if (CAUSAL || HAS_KEY_MASK) {
            s[j] = select(s[j], vec4f(), hidden_from(masked, first_query + j, keys));
          }
        }
      }
      for (var c = 0u; c < channels; c++) {
        var sum = sums[c];
        for (var l = 0u; l < LOADS; l++) {
          y[l] = f32(q[bases[l] + first_channel + c]);
        }
        for (var l = 0u; l < LOADS; l++) {
          for (var i = 0u; i < 8u; i++) {
            sum += s[8u * l + i] * subgroupShuffle(y[l], i);
          }
        }
        sums[c] = sum;
      }
    }
  }

  for (var c = 0u; c < channels; c++) {
    for (var r = 0u; r < 4u; r++) {
      if (keys[r] < params.keys) {
        dk[rows[r] + first_channel + c] = T(params.scale * sums[c][r]);
      }
    }
  }
}
