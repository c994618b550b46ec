import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { layerNormNaive, layerNormSubgroup } from "../src/generated/kernels.ts";
import type { RowVariant } from "../src/ops/grid.ts";
import { layerNorm, planLayerNorm } from "../src/ops/norm.ts";
import { layerNormCases } from "./norm_cases.ts";
import { layerNormReference } from "./norm_reference.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

/** The variants that can run on rows of so many channels. */
const variants = (channels: number): RowVariant[] => (channels % 4 === 0 && gpu.has("subgroups") ? ["subgroup", "workgroup", "naive"] : ["workgroup", "naive"]);

for (const dtype of testDtypes(gpu)) {
  for (const [rows, channels] of layerNormCases) {
    for (const variant of variants(channels)) {
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

/** Rows whose mean is large, whose first value lies far from the others, which are constant, and a mixture of sizes. */
function difficultRows(channels: number): { x: Float32Array; rows: number } {
  const random = randomValues(channels, 1);
  const rows = [random.map((value) => 1000 + value), random.map((value) => value - 30_000), random.with(0, 100), random.fill(3.7), randomValues(channels, 2).map((value, c) => value * 10 ** (c % 5))];
  return { x: Float32Array.from(rows.flatMap((row) => [...row])), rows: rows.length };
}

for (const channels of [36, 320, 1280]) {
  for (const variant of variants(channels)) {
    test(`layer norm ${variant} of difficult rows of ${channels}`, async () => {
      const { x, rows } = difficultRows(channels);
      const [weight, bias] = [randomValues(channels, 3), randomValues(channels, 4)];
      const y = await layerNorm(upload(gpu, x, [rows, channels]), { weight: upload(gpu, weight, [channels]), bias: upload(gpu, bias, [channels]), eps: 1e-5, variant }).read();
      for (let row = 0; row < rows; row++) {
        const part = [row * channels, (row + 1) * channels] as const;
        assertMatches(y.subarray(...part), (round) => layerNormReference(x.subarray(...part), weight, bias, 1e-5, round), "f32", `row ${row}`);
      }
    });
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
