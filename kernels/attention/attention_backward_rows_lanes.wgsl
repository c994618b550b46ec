// attention backward, rows, queries in lanes: what the gradients need to rebuild P and dS; the formulas stand in
// attention_backward_rows_naive.wgsl
//
// q, dout [B, Nq, H * d], k, v [P, Nk, H * d] storage type T
// key_mask [B, Nk] 1 = attend; a row with no key left attends uniformly to all Nk
// context_of [B]; without it p = b * context_step
// statistics [3, B, H, Nq] f32
//
// For devices that compute on the CPU: no workgroup memory, no barrier, few loads. A lane holds four queries of one head.
// Keys come in blocks of 32: each of the first eight lanes loads one channel of four keys and the subgroup shuffles them
// round (attention_lanes.wgsl). Maximum, total and D run along the blocks.
// Needs subgroups of at least 8 lanes, the first 8 of which exist. Sums f32.
enable subgroups;
//! include lib/fold.wgsl
//! include lib/online_softmax.wgsl
//! include lib/attention_score.wgsl
//! alias T
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
@group(0) @binding(7) var<storage, read_write> statistics: array<f32>;

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
  let head = index / blocks % params.heads;
  let item = index / blocks / params.heads;
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

  var m = vec4f(MASKED);
  var total = vec4f();
  var sum = vec4f();
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
    var largest = m;
    for (var j = 0u; j < ROWS; j++) {
      if (first_key + j >= params.keys) {
        s[j] = vec4f(OUTSIDE);
      } else if (CAUSAL || HAS_KEY_MASK) {
        s[j] = select(s[j], vec4f(MASKED), hidden_from(item, first_key + j, queries));
      }
      largest = max(largest, s[j]);
    }
    let factor = softmax_weight(m, largest, params.scale);
    m = largest;
    total *= factor;
    sum *= factor;
    for (var j = 0u; j < ROWS; j++) {
      let p = softmax_weight(s[j], m, params.scale);
      total += p;
      sum += p * dp[j];
    }
  }

  let normal = 1.0 / total;
  let mean = sum * normal;
  for (var r = 0u; r < 4u; r++) {
    if (queries[r] < params.queries) {
      statistics[places[r]] = m[r];
      statistics[plane + places[r]] = normal[r];
      statistics[2u * plane + places[r]] = mean[r];
    }
  }
}
