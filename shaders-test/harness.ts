import assert from "node:assert/strict";
import { after } from "node:test";
import type { Gpu } from "../src/gpu/gpu.ts";
import { openGpu } from "../src/gpu/open_node.ts";
import type { Float } from "../src/ops/check.ts";

/** Opens the device for a test file and closes it after the file's last test. */
export async function testGpu(options?: Parameters<typeof openGpu>[0]): Promise<Gpu> {
  const gpu = await openGpu(options);
  after(() => gpu.close());
  return gpu;
}

/** How a reference rounds after every operation: not at all (f64), or to f32. */
export type Round = (value: number) => number;

/** A formula in plain loops, evaluated once in f64 and once in f32: the second says how exact the first can be met. */
export type Reference = (round: Round) => ArrayLike<number>;

const epsilon = { f32: 2 ** -24, f16: 2 ** -11 };

/**
 * Compares a kernel's output with its reference. The error may be at most twice that of the same formula in f32,
 * plus one rounding of the storage type and four f32 roundings at the reference's largest magnitude.
 */
export function assertMatches(actual: ArrayLike<number>, reference: Reference, dtype: Float, what: string): void {
  const exact = reference((value) => value);
  const single = reference(Math.fround);
  assert.equal(actual.length, exact.length, `${what}: number of elements`);
  let largest = 0;
  let singleError = 0;
  for (let i = 0; i < exact.length; i++) {
    largest = Math.max(largest, Math.abs(exact[i]));
    singleError = Math.max(singleError, Math.abs(single[i] - exact[i]));
  }
  const bound = 2 * singleError + (4 * epsilon.f32 + (dtype === "f16" ? epsilon.f16 : 0)) * largest;
  for (let i = 0; i < exact.length; i++) {
    const error = Math.abs(actual[i] - exact[i]);
    if (!(error <= bound)) assert.fail(`${what}: element ${i} is ${actual[i]}, expected ${exact[i]}: error ${error} over the bound ${bound}`);
  }
}

export { randomValues, testDtypes, upload } from "./values.ts";
