import assert from "node:assert/strict";
import { dirname, basename } from "node:path";
import { type HostTensor, readTensorFile } from "../src/verify/golden_file.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { sharedPath } from "./shared.ts";

/** A tensor of a golden file on the host. */
export type GoldenTensor = HostTensor;

/** All tensors of a golden file, by name, integers as numbers, and its metadata. */
export async function readGolden(relative: string): Promise<{ tensors: ReadonlyMap<string, GoldenTensor>; metadata: Readonly<Record<string, string>> }> {
  const path = sharedPath(relative);
  assert.ok(path, `${relative} is absent`);
  return readTensorFile(openFolder(dirname(path)), basename(path));
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
