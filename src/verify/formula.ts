import { sizeOf } from "../tensor.ts";

// Weights and inputs by formula (the README of the goldens): tensors of any size that need not be stored.

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 of a text's UTF-8 bytes, as zlib computes it. */
export function crc32(text: string): number {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The value is `offset + scale * w`, w uniform in [-1, 1). */
interface Kind {
  offset: number;
  scale: number;
}

/** The first rule that fits a tensor's name and shape. */
export function formulaKind(name: string, shape: readonly number[]): Kind {
  const isTable = name.includes("embedding") && shape.length === 2 && name.endsWith("weight") && !name.includes("time_embedding") && !name.includes("proj");
  if (isTable) return { offset: 0, scale: 0.5 };
  if (name.endsWith("running_var")) return { offset: 1, scale: 0.1 };
  if (shape.length >= 2) return { offset: 0, scale: Math.sqrt(3 / sizeOf(shape.slice(1))) };
  if (name.endsWith("weight")) return { offset: 1, scale: 0.1 };
  return { offset: 0, scale: 0.05 };
}

/** Writes the elements `first` to `first + into.length` of the tensor `name` of `shape`, row-major. */
export function fillByFormula(name: string, shape: readonly number[], first: number, into: Float32Array): void {
  const { offset, scale } = formulaKind(name, shape);
  const golden = 0x9e3779b9;
  let state = (crc32(name) + Math.imul(first, golden)) | 0;
  for (let i = 0; i < into.length; i++) {
    // MurmurHash3's 32-bit finaliser
    let h = state;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    into[i] = offset + scale * ((2 * (h >>> 0)) / 4294967296 - 1);
    state = (state + golden) | 0;
  }
}

/** A whole tensor. */
export function byFormula(name: string, shape: readonly number[]): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  fillByFormula(name, shape, 0, values);
  return values;
}
