import assert from "node:assert/strict";
import { dirname, basename } from "node:path";
import { type HostTensor, readTensorFile } from "../src/verify/golden_file.ts";
import { relativePart } from "../src/verify/parts.ts";
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

/** Largest difference, relative to the golden's largest magnitude; infinite where a value is not finite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return relativePart("values", actual, expected).error;
}
