// group norm, 1 of 3: mean and centred squares of every channel over chunks of positions
//   mean[b, k, c] = mean of x[b, s, c], squares[b, k, c] = sum of (x[b, s, c] - mean[b, k, c])^2, s in chunk k
//
// x             [B, S, C1] storage type T: one input of those that are normalised together
// mean, squares [B, K, C] f32: this input's channels start at quad first_quad
// One invocation four adjacent channels of a chunk; C1, C and the first channel are multiples of 4. Sums are f32, of
// differences from the chunk's first value: since that value is in the sum, what cancels is at most a factor of the
// chunk's length, whatever the mean.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;

struct Params {
  count: u32,
  positions: u32,
  chunk: u32,
  chunks: u32,
  quads: u32,
  all_quads: u32,
  first_quad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T4>;
@group(0) @binding(2) var<storage, read_write> mean: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> squares: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (index >= params.count) {
    return;
  }
  let quad = index % params.quads;
  let slot = index / params.quads;
  let start = slot % params.chunks * params.chunk;
  let rows = min(params.chunk, params.positions - start);
  let base = (slot / params.chunks * params.positions + start) * params.quads + quad;
  let shift = vec4<f32>(x[base]);
  var sum = vec4<f32>();
  var products = vec4<f32>();
  for (var row = 1u; row < rows; row++) {
    let difference = vec4<f32>(x[base + row * params.quads]) - shift;
    sum += difference;
    products += difference * difference;
  }
  let offset = sum / f32(rows);
  let out = slot * params.all_quads + params.first_quad + quad;
  mean[out] = shift + offset;
  squares[out] = products - sum * offset;
}
