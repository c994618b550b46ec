// Standard normal numbers by Box and Muller's formula: sqrt(-2 ln u) * (cos, sin)(2 pi v).
//! include lib/turns.wgsl

// -ln(n / 2^24) for n in 1 to 2^24, to about 2e-7 of itself also near 0: WGSL's log may be wrong by 2^-21 there.
fn negative_log(n: u32) -> f32 {
  let bits = bitcast<u32>(f32(n));
  // n = m * 2^k with m in [sqrt(1/2), sqrt(2)), whose lower end is 0x3f3504f3.
  let k = (bits - 0x3f3504f3u) >> 23u;
  let m = bitcast<f32>(bits - (k << 23u));
  // ln m = 2 artanh s, |s| < 0.172
  let s = (m - 1.0) / (m + 1.0);
  let z = s * s;
  let artanh = s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0)))));
  return f32(24u - k) * 0.693147181 - 2.0 * artanh;
}

// Two independent normal numbers from 64 random bits: u in (0, 1] takes the upper 24 bits of the first word.
fn normal_pair(bits: vec2<u32>) -> vec2<f32> {
  return sqrt(2.0 * negative_log((bits.x >> 8u) + 1u)) * cos_sin_turns(bits.y);
}
