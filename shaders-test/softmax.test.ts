import assert from "node:assert/strict";
import { test } from "node:test";
import { softmax } from "../src/ops/softmax.ts";
import { softmaxCases } from "./norm_cases.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const variants = ["subgroup", "workgroup", "naive"] as const;

/** Softmax over the last dimension, in plain loops. */
function softmaxReference(x: Float32Array | Float64Array, columns: number, round: Round): Float64Array {
  const y = new Float64Array(x.length);
  for (let base = 0; base < x.length; base += columns) {
    const greatest = Math.max(...x.subarray(base, base + columns));
    let sum = 0;
    for (let n = base; n < base + columns; n++) {
      y[n] = round(Math.exp(round(x[n] - greatest)));
      sum = round(sum + y[n]);
    }
    for (let n = base; n < base + columns; n++) y[n] = round(y[n] / sum);
  }
  return y;
}

/** Its gradient from its result y, in plain loops. */
function softmaxBackwardReference(y: ArrayLike<number>, dy: ArrayLike<number>, columns: number, round: Round): Float64Array {
  const dx = new Float64Array(y.length);
  for (let base = 0; base < y.length; base += columns) {
    let sum = 0;
    for (let n = base; n < base + columns; n++) sum = round(sum + round(dy[n] * y[n]));
    for (let n = base; n < base + columns; n++) dx[n] = round(y[n] * round(dy[n] - sum));
  }
  return dx;
}

test("the reference's gradient is the derivative of its softmax", () => {
  const [x, dy] = [randomValues(15, 1, "f32", 3), randomValues(15, 2)];
  const dx = softmaxBackwardReference(softmaxReference(x, 5, Number), dy, 5, Number);
  assertDerivative((at) => softmaxReference(at, 5, Number), x, dy, dx, "softmax");
});

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

      test(`softmax backward ${variant} ${dtype} ${rows}x${columns}`, async () => {
        const [x, dy] = [upload(gpu, randomValues(rows * columns, 1, dtype, 8), [rows, columns], dtype), randomValues(rows * columns, 2, dtype)];
        const gradient = upload(gpu, dy, [rows, columns], dtype);
        const y = softmax(x, { variant });
        const saved = await y.read();
        const [dx] = await tapeGradients(gpu, [x], () => softmax(x, { variant }), gradient);
        assertMatches(dx, (round) => softmaxBackwardReference(saved, dy, columns, round), dtype, "dx");
        for (const tensor of [x, y, gradient]) tensor.free();
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
