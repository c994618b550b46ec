// unpack: writes a slab of a checkpoint tensor into its packed place, widening or narrowing its elements
//
// raw   [words] the slab's bytes as they stand in the file: f32, or two f16 or bf16 a word, little-endian
// y     the whole packed tensor: element e of the file's [O, I, taps] goes to [taps, I, O]
//       (linear: taps = 1, so [O, I] to [I, O]; a vector or table: O = 1 and taps = 1, so nothing moves)
// One invocation a word; `first` is the file index of the slab's first element, `count` its number of elements.
//! include lib/fold.wgsl
//! alias T
override WORKGROUP: u32 = 64;
// Bytes and kind of a file element: 0 f32, 1 f16, 2 bf16.
override FORMAT: u32 = 0;

struct Params {
  first: u32,
  count: u32,
  outputs: u32,
  inputs: u32,
  taps: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> raw: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

fn packed_index(element: u32) -> u32 {
  let tap = element % params.taps;
  let input = (element / params.taps) % params.inputs;
  let output = element / (params.taps * params.inputs);
  return (tap * params.inputs + input) * params.outputs + output;
}

fn store(slab_element: u32, value: f32) {
  if (slab_element < params.count) {
    y[packed_index(params.first + slab_element)] = T(value);
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (i >= arrayLength(&raw)) {
    return;
  }
  let word = raw[i];
  if (FORMAT == 0u) {
    store(i, bitcast<f32>(word));
  } else if (FORMAT == 1u) {
    let pair = unpack2x16float(word);
    store(2u * i, pair.x);
    store(2u * i + 1u, pair.y);
  } else {
    store(2u * i, bitcast<f32>(word << 16u));
    store(2u * i + 1u, bitcast<f32>(word & 0xffff0000u));
  }
}
