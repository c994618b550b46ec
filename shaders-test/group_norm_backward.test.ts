import assert from "node:assert/strict";
import { test } from "node:test";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import { type GroupNormVariant, groupNorm } from "../src/ops/norm.ts";
import { groupNormBackward } from "../src/ops/norm_backward.ts";
import type { Tensor } from "../src/tensor.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";
import { type GroupNormCase, groupNormCases, joinedInputs } from "./norm_cases.ts";
import { groupNormBackwardReference, groupNormReference } from "./norm_reference.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const eps = 1e-5;
const exact = (value: number) => value;

function given({ batches, positions, c1, c2 }: GroupNormCase, dtype: Float) {
  const values = (channels: number, seed: number) => randomValues(batches * positions * channels, seed, dtype);
  return { x: values(c1, 1), skip: values(c2, 2), dy: values(c1 + c2, 3), weight: randomValues(c1 + c2, 4), bias: randomValues(c1 + c2, 5) };
}

for (const silu of [false, true]) {
  test(`the reference's gradients are the derivatives of its group norm${silu ? " and SiLU" : ""}`, () => {
    const shape = { batches: 2, positions: 3, c1: 4, c2: 0, groups: 2 };
    const { x, dy, weight, bias } = given(shape, "f32");
    const { dx, dweight, dbias } = groupNormBackwardReference(x, dy, weight, bias, shape, eps, silu, exact);
    assertDerivative((at) => groupNormReference(at, weight, bias, shape, eps, silu, exact), x, dy, dx, "x");
    assertDerivative((at) => groupNormReference(x, at, bias, shape, eps, silu, exact), weight, dy, dweight, "weight");
    assertDerivative((at) => groupNormReference(x, weight, at, shape, eps, silu, exact), bias, dy, dbias, "bias");
  });
}

interface CheckOptions {
  variant?: GroupNormVariant;
  silu: boolean;
  dtype: Float;
}

async function checkCase(on: Gpu, shape: GroupNormCase, { variant, silu, dtype }: CheckOptions): Promise<void> {
  const { batches, positions, c1, c2, groups } = shape;
  const channels = c1 + c2;
  const { x, skip, dy, weight, bias } = given(shape, dtype);
  const images = (values: Float32Array, c: number) => upload(on, values, [batches, positions, c], dtype);
  const [xs, skips, dys] = [images(x, c1), c2 > 0 ? images(skip, c2) : undefined, images(dy, channels)];
  const [weights, biases] = [upload(on, weight, [channels]), upload(on, bias, [channels])];
  const watched = [weights, biases, xs, ...(skips ? [skips] : [])];
  const run = () => groupNorm(xs, { weight: weights, bias: biases, groups, eps, silu, skip: skips, variant });
  const [dweight, dbias, dx, dskip] = await tapeGradients(on, watched, run, dys);
  const input = joinedInputs(x, skip, shape);
  const reference = (name: "dx" | "dweight" | "dbias") => (round: (value: number) => number) =>
    groupNormBackwardReference(input, dy, weight, bias, shape, eps, silu, round)[name];
  assertMatches(dweight, reference("dweight"), "f32", "dweight");
  assertMatches(dbias, reference("dbias"), "f32", "dbias");
  assertMatches(joinedInputs(dx, dskip ?? new Float32Array(0), shape), reference("dx"), dtype, "dx and dskip");
  for (const tensor of [dys, ...watched]) tensor.free();
}

const title = ({ batches, positions, c1, c2, groups }: GroupNormCase) => `${batches}x${positions}x(${c1}+${c2}) in ${groups}`;

for (const dtype of testDtypes(gpu)) {
  for (const shape of groupNormCases) {
    for (const variant of ["workgroup", "naive"] as const) {
      if (variant !== "naive" && (shape.c1 % 4 !== 0 || shape.c2 % 4 !== 0)) continue;
      const silu = shape.positions % 2 === 1;
      test(`group norm backward ${variant} ${dtype} ${title(shape)}`, () => checkCase(gpu, shape, { variant, silu, dtype }));
    }
  }
}

test("group norm backward without subgroups and f16, variant of the plan", () => checkCase(plainGpu, groupNormCases[2], { silu: true, dtype: "f32" }));

test("only wanted gradients are computed", () => {
  const place = (shape: number[]) => upload(gpu, randomValues(shape.reduce((a, b) => a * b), 1), shape);
  const saved = { x: place([2, 3, 4]), skip: place([2, 3, 8]), weight: place([12]), bias: place([12]), statistics: place([2, 2, 2]) };
  const dy = place([2, 3, 12]);
  const wanted = (names: string[]) => {
    const wants = { x: names.includes("x"), skip: names.includes("skip"), weight: names.includes("weight"), bias: names.includes("bias") };
    const gradients: Record<string, Tensor | undefined> = groupNormBackward(dy, saved, wants, { silu: false });
    return Object.keys(gradients).filter((name) => gradients[name]);
  };
  for (const names of [["x"], ["skip"], ["weight"], ["bias"], ["bias", "x"], []]) assert.deepEqual(wanted(names).sort(), names);
});
