// Arithmetic of float16 tensors (PyTorch computes an operation in f32 and rounds its result) on values kept in f32.
// Integer operations: the same bits on every device, without shader-f16 and without conversions that a driver may drop.

override HALF: bool = false;

// The half nearest to x, ties to even, subnormals included; for |x| < 65520.
fn to_half(x: f32) -> f32 {
  let magnitude = bitcast<u32>(x) & 0x7fffffffu;
  let exponent = magnitude >> 23u;
  if (exponent < 102u) { // below 2^-25: half of the least half
    return 0.0;
  }
  // A half's significand has 13 bits less, and one less again for each binade below 2^-14.
  let significand = (magnitude & 0x7fffffu) | 0x800000u;
  let dropped = 13u + max(exponent, 113u) - exponent;
  let odd = (significand >> dropped) & 1u;
  let units = (significand + (1u << (dropped - 1u)) - 1u + odd) >> dropped;
  let half = f32(units) * bitcast<f32>((max(exponent, 113u) - 10u) << 23u);
  return select(half, -half, x < 0.0);
}

// The result of one operation: rounded to half where HALF, else x itself.
fn rounded(x: f32) -> f32 {
  if (HALF) {
    return to_half(x);
  }
  return x;
}
