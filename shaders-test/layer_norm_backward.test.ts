import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import type { RowVariant } from "../src/ops/grid.ts";
import { layerNorm } from "../src/ops/norm.ts";
import { layerNormBackward } from "../src/ops/norm_backward.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";
import { layerNormCases } from "./norm_cases.ts";
import { layerNormBackwardReference, layerNormReference } from "./norm_reference.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const eps = 1e-5;
const exact = (value: number) => value;

const given = (rows: number, channels: number, dtype: Float) => ({
  x: randomValues(rows * channels, 1, dtype),
  dy: randomValues(rows * channels, 2, dtype),
  weight: randomValues(channels, 3),
  bias: randomValues(channels, 4),
});

test("the reference's gradients are the derivatives of its layer norm", () => {
  const { x, dy, weight, bias } = given(3, 5, "f32");
  const { dx, dweight, dbias } = layerNormBackwardReference(x, dy, weight, eps, exact);
  assertDerivative((at) => layerNormReference(at, weight, bias, eps, exact), x, dy, dx, "x");
  assertDerivative((at) => layerNormReference(x, at, bias, eps, exact), weight, dy, dweight, "weight");
  assertDerivative((at) => layerNormReference(x, weight, at, eps, exact), bias, dy, dbias, "bias");
});

async function checkCase(on: Gpu, rows: number, channels: number, dtype: Float, variant?: RowVariant): Promise<void> {
  const { x, dy, weight, bias } = given(rows, channels, dtype);
  const tensors = { x: upload(on, x, [rows, channels], dtype), weight: upload(on, weight, [channels]), bias: upload(on, bias, [channels]) };
  const gradient = upload(on, dy, [rows, channels], dtype);
  const actual = await tapeGradients(on, Object.values(tensors), () => layerNorm(tensors.x, { ...tensors, eps, variant }), gradient);
  const wanted = ["dx", "dweight", "dbias"] as const;
  for (const [i, name] of wanted.entries()) {
    assertMatches(actual[i], (round) => layerNormBackwardReference(x, dy, weight, eps, round)[name], name === "dx" ? dtype : "f32", name);
  }
  for (const tensor of [gradient, ...Object.values(tensors)]) tensor.free();
}

for (const dtype of testDtypes(gpu)) {
  for (const [rows, channels] of layerNormCases) {
    for (const variant of ["subgroup", "workgroup", "naive"] as const) {
      if (variant === "subgroup" && (channels % 4 !== 0 || !gpu.has("subgroups"))) continue;
      test(`layer norm backward ${variant} ${dtype} ${rows}x${channels}`, () => checkCase(gpu, rows, channels, dtype, variant));
    }
  }
}

test("layer norm backward without subgroups and f16, variant of the plan", () => checkCase(plainGpu, 77, 64, "f32"));

test("layer norm backward of f16 activations with f16 weights: the parameters' gradients are f32", async (t) => {
  if (!gpu.has("shader-f16")) return t.skip("no shader-f16");
  const { x, dy, bias } = given(9, 8, "f16");
  const weight = randomValues(8, 3, "f16");
  const place = (values: Float32Array, shape: number[]) => upload(gpu, values, shape, "f16");
  const [xs, dys, weights, biases] = [place(x, [9, 8]), place(dy, [9, 8]), place(weight, [8]), place(bias, [8])];
  const [dx, dweight] = await tapeGradients(gpu, [xs, weights], () => layerNorm(xs, { weight: weights, bias: biases, eps }), dys);
  assertMatches(dx, (round) => layerNormBackwardReference(x, dy, weight, eps, round).dx, "f16", "dx");
  assertMatches(dweight, (round) => layerNormBackwardReference(x, dy, weight, eps, round).dweight, "f32", "dweight");
});

test("only wanted gradients are computed", () => {
  const saved = { x: upload(gpu, randomValues(6, 1), [2, 3]), weight: upload(gpu, randomValues(3, 2), [3]), statistics: upload(gpu, randomValues(4, 3), [2, 2]) };
  const wanted = (names: string[]) => {
    const wants = { x: names.includes("x"), weight: names.includes("weight"), bias: names.includes("bias") };
    return Object.entries(layerNormBackward(saved.x, saved, wants)).filter(([, gradient]) => gradient).map(([name]) => name);
  };
  for (const names of [["x"], ["weight"], ["bias"], ["x", "bias"], []]) assert.deepEqual(wanted(names).sort(), names.sort());
  assert.throws(() => layerNormBackward(saved.weight, saved, { x: true, weight: false, bias: false }), ShapeError);
});
