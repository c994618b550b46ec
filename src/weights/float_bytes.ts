import { dtypeBytes, type CheckpointDType } from "./dtype.ts";
import { bf16BitsToF32Bits, f16BitsToF32Bits, f32BitsToBf16Bits, f32BitsToF16Bits, roundToOdd } from "../float16.ts";

/** The floating-point dtypes that are converted into one another. */
export type FloatDType = "F64" | "F32" | "F16" | "BF16";

export function isConvertible(dtype: CheckpointDType): dtype is FloatDType {
  return dtype === "F64" || dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

type Read = (input: DataView, index: number) => number;

/** Bits of an element as a float32; a double is rounded to odd, so that narrowing it further rounds but once. */
const float32Bits: Record<FloatDType, Read> = {
  F64: (input, i) => roundToOdd(input.getFloat64(8 * i, true)),
  F32: (input, i) => input.getUint32(4 * i, true),
  F16: (input, i) => f16BitsToF32Bits(input.getUint16(2 * i, true)),
  BF16: (input, i) => bf16BitsToF32Bits(input.getUint16(2 * i, true)),
};

/**
 * Converts little-endian floats; narrowing rounds to nearest, ties to even, widening is exact.
 * @param overflow called with a finite value that became infinite
 * @returns new memory
 */
export function convertFloats(bytes: Uint8Array, from: FloatDType, to: Exclude<FloatDType, "F64">, overflow: (value: number) => void): Uint8Array {
  const elements = bytes.byteLength / dtypeBytes[from];
  const input = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const output = new DataView(new ArrayBuffer(elements * dtypeBytes[to]));
  const convert = to === "F32" ? toF32(from) : toHalf(from, to);
  for (let i = 0; i < elements; i++) {
    const infinite = convert(input, output, i);
    if (infinite && Number.isFinite(valueAt(input, i, from))) overflow(valueAt(input, i, from));
  }
  return new Uint8Array(output.buffer);
}

/** Converts one element and says whether it is infinite now. */
type Convert = (input: DataView, output: DataView, index: number) => boolean;

function toF32(from: FloatDType): Convert {
  return (input, output, i) => {
    if (from === "F64") output.setFloat32(4 * i, input.getFloat64(8 * i, true), true);
    else output.setUint32(4 * i, float32Bits[from](input, i), true);
    return (output.getUint32(4 * i, true) & 0x7fffffff) === 0x7f800000;
  };
}

function toHalf(from: FloatDType, to: "F16" | "BF16"): Convert {
  const [narrow, infinity] = to === "F16" ? [f32BitsToF16Bits, 0x7c00] : [f32BitsToBf16Bits, 0x7f80];
  return (input, output, i) => {
    const bits = narrow(float32Bits[from](input, i));
    output.setUint16(2 * i, bits, true);
    return (bits & 0x7fff) === infinity;
  };
}

const scratch = new DataView(new ArrayBuffer(4));

function valueAt(input: DataView, index: number, from: FloatDType): number {
  if (from === "F64") return input.getFloat64(8 * index, true);
  scratch.setUint32(0, float32Bits[from](input, index));
  return scratch.getFloat32(0);
}
