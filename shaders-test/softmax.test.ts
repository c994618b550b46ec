import assert from "node:assert/strict";
import { test } from "node:test";
import { softmax } from "../src/ops/softmax.ts";
import { softmaxCases } from "./norm_cases.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const variants = ["subgroup", "workgroup", "naive"] as const;

/** Softmax over the last dimension, in plain loops. */
function softmaxReference(x: Float32Array, columns: number, round: Round): Float64Array {
  const y = new Float64Array(x.length);
  for (let base = 0; base < x.length; base += columns) {
    const greatest = x.subarray(base, base + columns).reduce((a, b) => Math.max(a, b));
    let sum = 0;
    for (let n = base; n < base + columns; n++) {
      y[n] = round(Math.exp(round(x[n] - greatest)));
      sum = round(sum + y[n]);
    }
    for (let n = base; n < base + columns; n++) y[n] = round(y[n] / sum);
  }
  return y;
}

for (const dtype of testDtypes(gpu)) {
  for (const [rows, columns] of softmaxCases) {
    for (const variant of variants) {
      if (variant === "subgroup" && (columns % 4 !== 0 || !gpu.has("subgroups"))) continue;
      test(`softmax ${variant} ${dtype} ${rows}x${columns}`, async () => {
        const x = randomValues(rows * columns, 1, dtype, 8);
        const y = gpu.scope("test", () => softmax(upload(gpu, x, [rows, columns], dtype), { variant }));
        const actual = await y.read();
        y.free();
        assertMatches(actual, (round) => softmaxReference(x, columns, round), dtype, "softmax");
      });
    }
  }
}

for (const variant of variants) {
  if (variant === "subgroup" && !gpu.has("subgroups")) continue;
  test(`softmax ${variant} of masked and of huge scores`, async () => {
    const masked = -3e38;
    const x = Float32Array.of(...[1, masked, 1, masked], ...[masked, masked, masked, masked], ...[5e4, 5e4, -5e4, 0], ...[-1e30, -1e30, 0, -1e30]);
    const y = await softmax(upload(gpu, x, [4, 4]), { variant }).read();
    assert.deepEqual([...y], [0.5, 0, 0.5, 0, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 0, 0, 0, 0, 1, 0]);
  });
}
