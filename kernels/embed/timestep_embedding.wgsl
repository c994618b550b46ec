// timestep embedding: angle[b, i] = timesteps[b] * max_period^(-i / (half - shift)), i < half = dim / 2
// y[b] = sines, then cosines (cosines first where FLIP_SIN_TO_COS), then a zero where dim is odd
//
// timesteps [B], 0 <= t < 65536, rounded to 2^-16
// y         [B, dim] storage type T
// Each invocation strides over the elements of y. Angles reach 1000 radians, too many for f32 and for WGSL's sin and
// exp: they are computed in fixed point, modulo a turn, to 1e-9 turns.
//! include lib/fold.wgsl
//! include lib/philox.wgsl
//! include lib/turns.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override FLIP_SIN_TO_COS: bool = false;

struct Params {
  count: u32,
  dim: u32,
  // max_period^(-1 / (half - shift)) in 2^-64, low word first
  ratio: vec2<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> timesteps: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

// a * b of fractions in 2^-64, low word first; rounded down by up to 3 units.
fn multiply_fractions(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let high = multiply_wide(a.y, b.y);
  let middle = multiply_wide(a.y, b.x).y;
  let other = multiply_wide(a.x, b.y).y;
  let sum = high.x + middle;
  let low = sum + other;
  let carry = u32(sum < middle) + u32(low < other);
  return vec2(low, high.y + carry);
}

// Turns a timestep of frequency i: ratio^i / (2 pi), the power by squaring.
fn frequency(i: u32) -> vec2<u32> {
  var turns = vec2(0x9391054au, 0x28be60dbu); // 2^64 / (2 pi)
  var power = params.ratio;
  for (var rest = i; rest > 0u; rest >>= 1u) {
    if ((rest & 1u) == 1u) {
      turns = multiply_fractions(turns, power);
    }
    power = multiply_fractions(power, power);
  }
  return turns;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let column = i % params.dim;
    let half = params.dim / 2u;
    if (column >= 2u * half) {
      y[i] = T(0.0);
      continue;
    }
    let turns = frequency(column % half);
    let t = u32(round(timesteps[i / params.dim] * 65536.0));
    // t is in 2^-16 and turns in 2^-64: bits 48 to 79 of the product are 2^-32 turns.
    let low = multiply_wide(t, turns.x);
    let high = multiply_wide(t, turns.y);
    let middle = low.y + high.x;
    let top = high.y + u32(middle < high.x);
    let circle = cos_sin_turns((top << 16u) | (middle >> 16u));
    y[i] = T(select(circle.y, circle.x, (column < half) == FLIP_SIN_TO_COS));
  }
}
