import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import { type GroupNormVariant, groupNorm, planGroupNorm } from "../src/ops/norm.ts";
import { type GroupNormCase, groupNormCases, joinedInputs } from "./norm_cases.ts";
import { groupNormReference } from "./norm_reference.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const eps = 1e-5;

interface CheckOptions {
  variant?: GroupNormVariant;
  silu: boolean;
  dtype: Float;
  /** Inputs are uniform in mean - spread to mean + spread. Default 2 and 1. */
  mean?: number;
  spread?: number;
}

/** Runs a case; gives the output and the reference at a rounding. */
async function runCase(on: Gpu, shape: GroupNormCase, { variant, silu, dtype, mean = 2, spread = 1 }: CheckOptions) {
  const { batches, positions, c1, c2, groups } = shape;
  const values = (channels: number, seed: number) => randomValues(batches * positions * channels, seed, dtype).map((value) => spread * value + mean);
  const weight = randomValues(c1 + c2, 3);
  const bias = randomValues(c1 + c2, 4);
  const [y, x, skip] = on.scope("test", () => {
    const x = upload(on, values(c1, 1), [batches, positions, c1], dtype);
    const skip = c2 > 0 ? upload(on, values(c2, 2), [batches, positions, c2], dtype) : undefined;
    const vectors = { weight: upload(on, weight, [c1 + c2]), bias: upload(on, bias, [c1 + c2]) };
    return [groupNorm(x, { ...vectors, groups, eps, silu, skip, variant }), x, skip];
  });
  assert.deepEqual(y.shape, [batches, positions, c1 + c2]);
  const input = joinedInputs(await x.read(), skip ? await skip.read() : new Float32Array(0), shape);
  const actual = await y.read();
  for (const tensor of [y, x, skip]) tensor?.free();
  return { actual, reference: (round: Round) => groupNormReference(input, weight, bias, shape, eps, silu, round) };
}

async function checkCase(on: Gpu, shape: GroupNormCase, options: CheckOptions): Promise<void> {
  const { actual, reference } = await runCase(on, shape, options);
  assertMatches(actual, reference, options.dtype, "group norm");
}

const title = ({ batches, positions, c1, c2, groups }: GroupNormCase) => `${batches}x${positions}x(${c1}+${c2}) in ${groups}`;

for (const dtype of testDtypes(gpu)) {
  for (const shape of groupNormCases) {
    for (const variant of ["workgroup", "serial", "naive"] as const) {
      if (variant !== "naive" && (shape.c1 % 4 !== 0 || shape.c2 % 4 !== 0)) continue;
      const silu = shape.positions % 2 === 1;
      test(`group norm ${variant} ${dtype} ${title(shape)}`, () => checkCase(gpu, shape, { variant, silu, dtype }));
    }
  }
}

for (const variant of ["workgroup", "serial", "naive"] as const) {
  test(`group norm ${variant} of a huge mean and a small variance`, async () => {
    const shape = { batches: 1, positions: 200, c1: 8, c2: 8, groups: 2 };
    const { actual, reference } = await runCase(gpu, shape, { variant, silu: false, dtype: "f32", mean: 10_000, spread: 0.1 });
    const exact = reference((value) => value);
    // The mean itself is rounded by up to 2^-11; the deviation is 0.058. Sums of raw values would be off by more than 1.
    const bound = 1.1 * (2 ** -11 / 0.058);
    const error = Math.max(...actual.map((value, i) => Math.abs(value - exact[i])));
    assert.ok(error < bound, `error ${error} over ${bound}`);
  });
}

test("group norm without subgroups and f16, variant of the plan", () => checkCase(plainGpu, groupNormCases[2], { silu: true, dtype: "f32" }));

test("the plan takes chunks of one position or more, and the naive kernel for widths that are no multiples of 4", () => {
  for (const software of [true, false]) {
    for (const shape of groupNormCases) {
      const plan = planGroupNorm(shape, { software, subgroupLanes: 8 });
      assert.equal(plan.variant === "naive", shape.c1 % 4 !== 0 || shape.c2 % 4 !== 0);
      assert.ok(plan.partialChunk >= 1 && plan.partialChunk <= 64 && plan.applyChunk >= 1, JSON.stringify(plan));
    }
  }
});

test("arguments that do not fit are refused by name", () => {
  const x = upload(gpu, randomValues(2 * 3 * 10, 1), [2, 3, 10]);
  const weight = upload(gpu, randomValues(10, 2), [10]);
  const call = (options: object) => () => groupNorm(x, { weight, bias: weight, groups: 2, eps, ...options });
  assert.throws(call({ groups: 3 }), (error) => error instanceof ShapeError && /C=10 is not divisible by groups=3/.test(error.message));
  assert.throws(call({ weight: x }), (error) => error instanceof ShapeError && /weight/.test(error.message));
  assert.throws(call({ skip: weight }), (error) => error instanceof ShapeError && /skip/.test(error.message));
  assert.throws(call({ variant: "serial" }), (error) => error instanceof ShapeError && /multiples of 4/.test(error.message));
});
