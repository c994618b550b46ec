// attention, queries in lanes: out[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, h] + mask) v[b, j, h]
//
// q, out [B, Nq, H * D], k, v [B, Nk, H * D] storage type T
// key_mask [B, Nk] 1 = attend; a row with no key left attends uniformly to all Nk
//
// For devices that compute on the CPU: no workgroup memory, no barrier, few loads. A lane holds four queries of one head.
// Keys come in blocks of 32: each of the first eight lanes loads one channel of four keys and the subgroup shuffles them
// round, so that every number loaded meets 32 queries. All loads come before the arithmetic, since each is a loop over the
// lanes there. The block's scores stay in registers (loops of constant length, which compilers unroll); the sums of values
// are a private array of one vec4 a channel, touched once a block. Such arrays compile slowly: a head of more than CHANNELS
// channels is shared by several workgroups, which compute the scores anew.
// Needs subgroups of at least 8 lanes, the first 8 of which exist. Sums and softmax state f32.
enable subgroups;
//! include lib/fold.wgsl
//! include lib/online_softmax.wgsl
//! alias T
//! const CHANNELS
override WORKGROUP: u32 = 8;
override CAUSAL: bool = false;
override HAS_KEY_MASK: bool = false;

const KEYS = 32u;
const LOADS = 4u;

struct Params {
  batch: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  head_size: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<T>;
@group(0) @binding(2) var<storage, read> k: array<T>;
@group(0) @binding(3) var<storage, read> v: array<T>;
@group(0) @binding(4) var<storage, read> key_mask: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<T>;

var<private> sums: array<vec4f, CHANNELS>;

fn masked(batch: u32, key: u32, queries: vec4u) -> vec4<bool> {
  var hidden = vec4<bool>();
  if (CAUSAL) {
    hidden = vec4u(key) > queries;
  }
  if (HAS_KEY_MASK) {
    hidden = hidden | vec4<bool>(key_mask[batch * params.keys + key] == 0u);
  }
  return hidden;
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
  let head = index / blocks / slices % params.heads;
  let batch = index / blocks / slices / params.heads;
  if (batch >= params.batch) {
    return;
  }
  let first_query = index % blocks * 4u * WORKGROUP;
  let queries = first_query + local + vec4u(0u, 1u, 2u, 3u) * WORKGROUP;
  let stride = params.heads * params.head_size;
  let head_base = head * params.head_size;
  let rows = (batch * params.queries + min(queries, vec4u(params.queries - 1u))) * stride + head_base;
  let channels = min(CHANNELS, params.head_size - first_channel);
  // A masked row needs all keys: it attends to them uniformly.
  var keys = params.keys;
  if (CAUSAL && !HAS_KEY_MASK) {
    keys = min(keys, first_query + 4u * WORKGROUP);
  }

  var m = vec4f(MASKED);
  var total = vec4f();
  for (var first_key = 0u; first_key < keys; first_key += KEYS) {
    var bases: array<u32, LOADS>;
    for (var l = 0u; l < LOADS; l++) {
      let key = min(first_key + 8u * l + (invocation & 7u), params.keys - 1u);
      bases[l] = (batch * params.keys + key) * stride + head_base;
    }
    var p = array<vec4f, KEYS>();
    var y: array<f32, LOADS>;
    for (var c = 0u; c < params.head_size; c++) {
      let x = vec4f(f32(q[rows.x + c]), f32(q[rows.y + c]), f32(q[rows.z + c]), f32(q[rows.w + c]));
      for (var l = 0u; l < LOADS; l++) {
        y[l] = f32(k[bases[l] + c]);
      }
      for (var l = 0u; l < LOADS; l++) {
        for (var i = 0u; i < 8u; i++) {
          p[8u * l + i] += x * subgroupShuffle(y[l], i);
        }
      }
    }
    var largest = m;
    for (var j = 0u; j < KEYS; j++) {
      if (first_key + j >= params.keys) {
        p[j] = vec4f(OUTSIDE);
      } else if (CAUSAL || HAS_KEY_MASK) {
        p[j] = select(p[j], vec4f(MASKED), masked(batch, first_key + j, queries));
      }
      largest = max(largest, p[j]);
    }
    let factor = softmax_weight(m, largest, params.scale);
    m = largest;
    total *= factor;
    for (var j = 0u; j < KEYS; j++) {
      p[j] = softmax_weight(p[j], m, params.scale);
      total += p[j];
    }
    for (var c = 0u; c < channels; c++) {
      var sum = sums[c] * factor;
      for (var l = 0u; l < LOADS; l++) {
        y[l] = f32(v[bases[l] + first_channel + c]);
      }
      for (var l = 0u; l < LOADS; l++) {
        for (var i = 0u; i < 8u; i++) {
          sum += p[8u * l + i] * subgroupShuffle(y[l], i);
        }
      }
      sums[c] = sum;
    }
  }

  for (var c = 0u; c < channels; c++) {
    let mean = sums[c] / total;
    for (var r = 0u; r < 4u; r++) {
      if (queries[r] < params.queries) {
        out[rows[r] + first_channel + c] = T(mean[r]);
      }
    }
  }
}
