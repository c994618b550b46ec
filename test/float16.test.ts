import assert from "node:assert/strict";
import { test } from "node:test";
import { bf16BitsToF32Bits, bf16ToF32, f16BitsToF32Bits, f16ToF32, f32BitsToBf16Bits, f32BitsToF16Bits, f32ToBf16, f32ToF16 } from "../src/float16.ts";
import { convertFloats } from "../src/weights/float_bytes.ts";

const formats = [
  { name: "f16", exponentBits: 5, mantissaBits: 10, toFloat: f16ToF32, toHalf: f32ToF16, widen: f16BitsToF32Bits, narrow: f32BitsToF16Bits },
  { name: "bf16", exponentBits: 8, mantissaBits: 7, toFloat: bf16ToF32, toHalf: f32ToBf16, widen: bf16BitsToF32Bits, narrow: f32BitsToBf16Bits },
];

/** The value by the definition of IEEE 754. */
function definition(bits: number, exponentBits: number, mantissaBits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> mantissaBits;
  const fraction = (bits & ((1 << mantissaBits) - 1)) / (1 << mantissaBits);
  const bias = (1 << (exponentBits - 1)) - 1;
  if (exponent === (1 << exponentBits) - 1) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

for (const { name, exponentBits, mantissaBits, toFloat, toHalf, widen, narrow } of formats) {
  const infinity = ((1 << exponentBits) - 1) << mantissaBits;

  test(`${name}: all 65,536 patterns widen to their value and come back`, () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = toFloat(bits);
      if (!Object.is(value, definition(bits, exponentBits, mantissaBits))) assert.fail(`${bits}: ${value}`);
      const back = narrow(widen(bits));
      const isNan = (bits & 0x7fff) > infinity;
      // A signalling NaN becomes a quiet one of the same sign and payload.
      const expected = isNan ? bits | (1 << (mantissaBits - 1)) : bits;
      if (back !== expected) assert.fail(`${bits} came back as ${back}`);
      if (!isNan && toHalf(value) !== bits) assert.fail(`${value} became ${toHalf(value)} and not ${bits}`);
    }
  });

  test(`${name}: everything between two neighbours rounds to the nearer, midpoints to even`, () => {
    for (let bits = 0; bits < infinity; bits++) {
      const low = toFloat(bits);
      // Above the largest finite value the grid goes on in thought: from its midpoint on, infinity.
      const high = bits + 1 === infinity ? low + (low - toFloat(bits - 1)) : toFloat(bits + 1);
      const middle = (low + high) / 2;
      const cases: [value: number, expected: number][] = [
        [middle, bits % 2 === 0 ? bits : bits + 1],
        // Closer to the midpoint than a float32 can say: a double must be rounded once.
        [middle * (1 + 2 ** -50), bits + 1], [middle * (1 - 2 ** -50), bits],
        [low + (high - low) * 0.25, bits], [low + (high - low) * 0.75, bits + 1],
      ];
      for (const [value, expected] of cases) {
        if (toHalf(value) !== expected) assert.fail(`${value} became ${toHalf(value)} and not ${expected}`);
        if (toHalf(-value) !== (expected | 0x8000)) assert.fail(`${-value} became ${toHalf(-value)}`);
      }
    }
  });
}

test("f32ToF16 and f32ToBf16 at the ends of the range", () => {
  assert.equal(f32ToF16(65504), 0x7bff);
  assert.equal(f32ToF16(65519.99), 0x7bff);
  assert.equal(f32ToF16(65520), 0x7c00);
  assert.equal(f32ToF16(1e300), 0x7c00);
  assert.equal(f32ToF16(-Infinity), 0xfc00);
  assert.equal(f32ToF16(5e-324), 0);
  assert.equal(f32ToF16(-0), 0x8000);
  assert.equal(f32ToBf16(3.4e38), 0x7f80);
  assert.equal(f32ToBf16(1e300), 0x7f80);
  assert.equal(f32ToBf16(-1e-300), 0x8000);
  assert.equal(f32ToF16(NaN) & 0x7e00, 0x7e00);
  assert.equal(f32ToBf16(NaN) & 0x7fc0, 0x7fc0);
});

test("convertFloats converts every pair of dtypes and reports what overflows", () => {
  const values = [0, -0, 1, -1.5, 0.1, 65504, 1e-7, Infinity, NaN];
  const f64 = new Uint8Array(new Float64Array(values).buffer);
  const never = (value: number) => assert.fail(`${value} overflows`);
  for (const [dtype, toHalf, toFloat] of [["F16", f32ToF16, f16ToF32], ["BF16", f32ToBf16, bf16ToF32]] as const) {
    const half = convertFloats(f64, "F64", dtype, never);
    assert.deepEqual([...new Uint16Array(half.buffer)], values.map(toHalf));
    const single = convertFloats(half, dtype, "F32", never);
    assert.deepEqual([...new Float32Array(single.buffer)], values.map((value) => toFloat(toHalf(value))));
  }
  assert.deepEqual(new Float32Array(convertFloats(f64, "F64", "F32", never).buffer), new Float32Array(values));

  const overflows: number[] = [];
  convertFloats(new Uint8Array(new Float32Array([65519, 65520, -1e38, Infinity]).buffer), "F32", "F16", (value) => overflows.push(value));
  assert.deepEqual(overflows, [65520, Math.fround(-1e38)]);
  convertFloats(new Uint8Array(new Float64Array([1e39]).buffer), "F64", "F32", (value) => overflows.push(value));
  assert.equal(overflows[2], 1e39);
});
