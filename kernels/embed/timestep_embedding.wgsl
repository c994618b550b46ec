// timestep embedding: angle[b, i] = f32(timesteps[b] * frequencies[i])
// y[b] = sines, then cosines (cosines first where FLIP_SIN_TO_COS), then a zero where dim is odd
//
// timesteps   [B], 0 <= t < 65536
// frequencies [dim / 2] f32, at most 1
// y           [B, dim] storage type T
// Each invocation strides over the elements of y. diffusers rounds frequencies and angles to f32, and models were
// trained on that: an exact product would differ by up to 6e-5. Its sine and cosine are then exact, WGSL's are not for
// angles of many turns: the angle is brought to turns in fixed point.
//! include lib/fold.wgsl
//! include lib/philox.wgsl
//! include lib/turns.wgsl
//! alias T
override WORKGROUP: u32 = 64;
override FLIP_SIN_TO_COS: bool = false;

struct Params {
  count: u32,
  dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> timesteps: array<f32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

const TURN_HIGH = 0x28be60dbu; // 2^64 / (2 pi), high and low word
const TURN_LOW = 0x9391054au;

// An angle in radians, 0 <= angle < 2^32, in 2^-32 turns; exact but for fractions of a radian below 2^-32.
fn turns_of(angle: f32) -> u32 {
  let whole = u32(angle);
  let part = u32((angle - f32(whole)) * 4294967296.0);
  let of_whole = whole * TURN_HIGH + multiply_wide(whole, TURN_LOW).y;
  return of_whole + multiply_wide(part, TURN_HIGH).y;
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
    let circle = cos_sin_turns(turns_of(timesteps[i / params.dim] * frequencies[column % half]));
    y[i] = T(select(circle.y, circle.x, (column < half) == FLIP_SIN_TO_COS));
  }
}
