/**
 * Half-precision floats as bit patterns: IEEE binary16 (F16) and bfloat16 (BF16), to and from binary32.
 * Narrowing rounds to nearest, ties to even, and overflows to infinity; NaN stays NaN (quiet, sign kept). Widening is exact.
 */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

const F32_INFINITY = 0x7f800000;
/** Bits of 65520, the midpoint between the largest half and 65536: from here on a half is infinite. */
const F16_OVERFLOW = 0x477ff000;
/** Bits of 2^-14, the smallest normal half. */
const F16_MIN_NORMAL = 0x38800000;

/** Bits of the float32 that equals a half. */
export function f16BitsToF32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const rest = half & 0x7fff;
  if (rest >= 0x7c00) return (sign | F32_INFINITY | ((rest & 0x3ff) << 13)) >>> 0;
  // Half and float differ by 112 in exponent bias; the product is exact for subnormal halves too.
  bits[0] = rest << 13;
  float[0] *= 2 ** 112;
  return (sign | bits[0]) >>> 0;
}

/** Bits of the half nearest to a float32 given by its bits. */
export function f32BitsToF16Bits(single: number): number {
  const sign = (single >>> 16) & 0x8000;
  const rest = single & 0x7fffffff;
  if (rest > F32_INFINITY) return sign | 0x7e00 | ((rest >>> 13) & 0x1ff);
  if (rest >= F16_OVERFLOW) return sign | 0x7c00;
  if (rest < F16_MIN_NORMAL) {
    // One unit in the last place of 0.5 is 2^-24, the step of subnormal halves: the addition rounds as wanted.
    bits[0] = rest;
    float[0] += 0.5;
    return sign | (bits[0] - 0x3f000000);
  }
  const oddBit = (rest >>> 13) & 1;
  return sign | ((rest - (112 << 23) + 0xfff + oddBit) >>> 13);
}

/** Bits of the float32 that equals a bfloat16. */
export function bf16BitsToF32Bits(brain: number): number {
  return (brain << 16) >>> 0;
}

/** Bits of the bfloat16 nearest to a float32 given by its bits. */
export function f32BitsToBf16Bits(single: number): number {
  if ((single & 0x7fffffff) > F32_INFINITY) return (single >>> 16) | 0x40;
  const oddBit = (single >>> 16) & 1;
  return ((single >>> 0) + 0x7fff + oddBit) >>> 16;
}

/** Value of a half given by its bits. */
export function f16ToF32(half: number): number {
  bits[0] = f16BitsToF32Bits(half);
  return float[0];
}

/** Bits of the half nearest to `value` (any double: rounded once). */
export function f32ToF16(value: number): number {
  return f32BitsToF16Bits(roundToOdd(value));
}

/** Value of a bfloat16 given by its bits. */
export function bf16ToF32(brain: number): number {
  bits[0] = bf16BitsToF32Bits(brain);
  return float[0];
}

/** Bits of the bfloat16 nearest to `value` (any double: rounded once). */
export function f32ToBf16(value: number): number {
  return f32BitsToBf16Bits(roundToOdd(value));
}

/**
 * Bits of `value` as a float32 rounded to odd: an inexact value takes the neighbour whose last bit is one, so that a second
 * rounding to fewer bits gives what one rounding of the double would have given. float32 values are unchanged.
 */
export function roundToOdd(value: number): number {
  float[0] = value;
  const nearest = float[0];
  const single = bits[0];
  const exact = nearest === value || value !== value;
  if (exact || (single & 1) === 1) return single;
  return Math.abs(value) > Math.abs(nearest) ? single + 1 : single - 1;
}

let widened: Float32Array | undefined;

/** Half-precision bit patterns as floats; exact. */
export function widenFloat16(halves: Uint16Array): Float32Array {
  widened ??= Float32Array.from({ length: 65536 }, (_, pattern) => f16ToF32(pattern));
  const floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = widened[halves[i]];
  return floats;
}

/** Numbers as half-precision bit patterns, rounded to nearest even. */
export function narrowFloat16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, f32ToF16);
}
