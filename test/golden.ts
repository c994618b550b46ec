import assert from "node:assert/strict";
import { widenFloat16 } from "../src/float16.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { readTensor } from "../src/weights/checkpoint.ts";
import { openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { sharedPath } from "./shared.ts";

/** A tensor of a golden file on the host. */
export interface GoldenTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** All tensors of a golden file, by name, integers as numbers, and its metadata. */
export async function readGolden(relative: string): Promise<{ tensors: Map<string, GoldenTensor>; metadata: Readonly<Record<string, string>> }> {
  const path = sharedPath(relative);
  assert.ok(path, `${relative} is absent`);
  const checkpoint = await openCheckpoint(openFolder(path.slice(0, path.lastIndexOf("/"))), path.slice(path.lastIndexOf("/") + 1));
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, entry] of checkpoint.tensors) {
    const bytes = await readTensor(checkpoint, entry);
    tensors.set(name, { shape: entry.shape, data: decode(entry.dtype, bytes.slice().buffer) });
  }
  await checkpoint.close();
  return { tensors, metadata: checkpoint.metadata };
}

function decode(dtype: string, buffer: ArrayBuffer): Float32Array {
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F16") return widenFloat16(new Uint16Array(buffer));
  if (dtype === "I64") return Float32Array.from(new BigInt64Array(buffer), Number);
  if (dtype === "U8") return Float32Array.from(new Uint8Array(buffer));
  throw new Error(`golden dtype ${dtype}`);
}

/** Largest difference, relative to the golden's largest magnitude. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let error = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs(actual[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
    assert.ok(Number.isFinite(actual[i]), `value ${i} is ${actual[i]}`);
  }
  return error / largest;
}
