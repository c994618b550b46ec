// Cosine and sine of an angle given in 2^-32 turns, to about 1e-7: WGSL's own may be wrong by 2^-11.

const RADIANS = 1.46291808e-9; // 2 pi / 2^32

fn cos_sin_turns(turns: u32) -> vec2<f32> {
  // The nearest quarter turn, and the signed rest: |x| <= pi / 4, where Taylor's series converge fast.
  let quarter = (turns + 0x20000000u) >> 30u;
  let x = f32(bitcast<i32>(turns - (quarter << 30u))) * RADIANS;
  let z = x * x;
  let s = x * (1.0 + z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 + z * (1.0 / 362880.0)))));
  let c = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * (1.0 / 40320.0 - z * (1.0 / 3628800.0)))));
  switch quarter {
    case 0u: { return vec2(c, s); }
    case 1u: { return vec2(-s, c); }
    case 2u: { return vec2(-c, -s); }
    default: { return vec2(s, -c); }
  }
}
