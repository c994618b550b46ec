// IEEE half precision and bfloat16 on the host, for weights and readback. Node 20 and older browsers have no Float16Array.

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** One half-precision bit pattern as a number; exact. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let table: Float32Array | undefined;

/** Half-precision bit patterns as floats; exact. */
export function widenFloat16(bits: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, pattern) => fromFloat16(pattern));
  const floats = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) floats[i] = table[bits[i]];
  return floats;
}

/** The half-precision bit pattern nearest to a number, ties to even; too large becomes infinity. */
export function toFloat16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above
  if (magnitude < 0x38800000) return sign | roundEven(Math.abs(scratchFloat[0]) * 2 ** 24); // subnormal
  const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1);
  return sign | (rounded >>> 13);
}

/** Rounds to the nearest integer, ties to even; exact for the small products it is used on. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Numbers as half-precision bit patterns, rounded to nearest even. */
export function narrowFloat16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, toFloat16);
}

/** bfloat16 bit patterns as floats; exact. */
export function widenBfloat16(bits: Uint16Array): Float32Array {
  const floats = new Float32Array(bits.length);
  const words = new Uint32Array(floats.buffer);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return floats;
}

/** The bfloat16 bit pattern nearest to a number, ties to even. */
export function toBfloat16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) | 0x40) & 0xffff; // NaN stays one
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
