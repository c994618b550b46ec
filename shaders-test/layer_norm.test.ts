import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { layerNormNaive, layerNormSubgroup } from "../src/generated/kernels.ts";
import { layerNorm, planLayerNorm } from "../src/ops/norm.ts";
import { layerNormCases } from "./norm_cases.ts";
import { layerNormReference } from "./norm_reference.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

for (const dtype of testDtypes(gpu)) {
  for (const [rows, channels] of layerNormCases) {
    for (const variant of ["subgroup", "workgroup", "naive"] as const) {
      if (variant === "subgroup" && (channels % 4 !== 0 || !gpu.has("subgroups"))) continue;
      test(`layer norm ${variant} ${dtype} ${rows}x${channels}`, async () => {
        const x = randomValues(rows * channels, 1, dtype).map((value) => value + 2);
        const weight = randomValues(channels, 2);
        const bias = randomValues(channels, 3);
        const exact = dtype === "f16" ? await upload(gpu, x, [rows, channels], dtype).read() : x;
        const y = gpu.scope("test", () =>
          layerNorm(upload(gpu, x, [rows, channels], dtype), {
            weight: upload(gpu, weight, [channels]),
            bias: upload(gpu, bias, [channels]),
            eps: 1e-5,
            variant,
          }),
        );
        const actual = await y.read();
        y.free();
        assertMatches(actual, (round) => layerNormReference(exact, weight, bias, 1e-5, round), dtype, "layer norm");
      });
    }
  }
}

test("the plan takes the variant that the device and the width allow", () => {
  assert.equal(planLayerNorm(10, 64, { software: true, subgroupLanes: 8 }).kernel, layerNormSubgroup);
  assert.equal(planLayerNorm(10, 66, { software: true, subgroupLanes: 8 }).kernel, layerNormNaive);
  assert.equal(planLayerNorm(10, 64, { software: false, subgroupLanes: 0 }).kernel.name, "norm/layer_norm");
  assert.ok(planLayerNorm(10_000_000, 64, { software: false, subgroupLanes: 32 }).grid <= 65_535);
});

test("a width that the subgroup variant cannot take is refused", () => {
  const [x, weight] = [upload(gpu, randomValues(6, 1), [1, 6]), upload(gpu, randomValues(6, 2), [6])];
  assert.throws(() => layerNorm(x, { weight, bias: weight, eps: 1e-5, variant: "subgroup" }), ShapeError);
});
