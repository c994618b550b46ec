import assert from "node:assert/strict";
import { test } from "node:test";
import type { Activation } from "../src/ops/activation.ts";
import { foldBatchNorm, scaleShift } from "../src/ops/batch_norm.ts";
import type { Float } from "../src/ops/check.ts";
import { tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";
import { activate } from "./product_reference.ts";

const gpu = await testGpu();
const eps = 1e-3;

/** Weight, bias, mean and variance of C channels. */
const statistics = (channels: number, dtype: Float) => ({
  weight: randomValues(channels, 1, dtype, 2),
  bias: randomValues(channels, 2, dtype),
  mean: randomValues(channels, 3, dtype, 3),
  variance: randomValues(channels, 4, dtype, 2).map(Math.abs),
});

/** torch.nn.BatchNorm2d in evaluation as a scale and a shift. */
function foldReference({ weight, bias, mean, variance }: ReturnType<typeof statistics>, round: Round) {
  const scale = Float64Array.from(weight, (value, c) => round(value / round(Math.sqrt(round(variance[c] + round(eps))))));
  return { scale, shift: Float64Array.from(bias, (value, c) => round(value - round(mean[c] * scale[c]))) };
}

for (const dtype of testDtypes(gpu)) {
  for (const channels of [1, 3, 67, 1024]) {
    test(`batch norm of ${channels} channels as scale and shift, ${dtype}`, async () => {
      const values = statistics(channels, dtype);
      const folded = gpu.scope("test", () => {
        const [weight, bias, mean, variance] = Object.values(values).map((vector) => upload(gpu, vector, [channels], dtype));
        return foldBatchNorm({ weight, bias, mean, variance }, eps);
      });
      assertMatches(await folded.scale.read(), (round) => foldReference(values, round).scale, dtype, "scale");
      assertMatches(await folded.shift.read(), (round) => foldReference(values, round).shift, dtype, "shift");
      folded.scale.free();
      folded.shift.free();
    });
  }
}

async function checkScaleShift(shape: readonly number[], dtypeX: Float, dtypeW: Float, options: { withShift: boolean; activation?: Activation }): Promise<void> {
  const channels = shape[shape.length - 1];
  const size = shape.reduce((a, b) => a * b);
  const [x, scale, shift] = [randomValues(size, 1, dtypeX), randomValues(channels, 2, dtypeW, 2), randomValues(channels, 3, dtypeW)];
  const y = gpu.scope("test", () =>
    scaleShift(upload(gpu, x, shape, dtypeX), {
      scale: upload(gpu, scale, [channels], dtypeW),
      shift: options.withShift ? upload(gpu, shift, [channels], dtypeW) : undefined,
      activation: options.activation,
    }),
  );
  assert.deepEqual(y.shape, shape);
  const reference = (round: Round) =>
    Float64Array.from(x, (value, i) => {
      const scaled = round(value * scale[i % channels]);
      return activate(options.withShift ? round(scaled + shift[i % channels]) : scaled, options.activation, round);
    });
  assertMatches(await y.read(), reference, dtypeX, `scale and shift [${shape}]`);
  y.free();
}

test("scale and shift agree with the reference for every shape and dtype", async () => {
  for (const shape of [[1], [5, 1], [2, 3, 5, 7], [1, 13, 11, 64], [3, 70_001]]) {
    for (const dtypeX of testDtypes(gpu)) {
      for (const dtypeW of testDtypes(gpu)) await checkScaleShift(shape, dtypeX, dtypeW, { withShift: true, activation: "relu" });
    }
    await checkScaleShift(shape, "f32", "f32", { withShift: false });
  }
});

test("shapes that do not fit and gradients are refused", async () => {
  const x = upload(gpu, randomValues(12, 1), [3, 4]);
  const four = upload(gpu, randomValues(4, 1), [4]);
  const three = upload(gpu, randomValues(3, 1), [3]);
  assert.throws(() => scaleShift(x, { scale: three }), /scale is \[3\], needs \[4\]/);
  assert.throws(() => scaleShift(x, { scale: four, shift: three }), /shift is \[3\], needs \[4\]/);
  assert.throws(() => foldBatchNorm({ weight: four, bias: four, mean: three, variance: four }, eps), /mean is \[3\], needs \[4\]/);
  await assert.rejects(async () => tapeGradients(gpu, [x], () => scaleShift(x, { scale: four }), x), /has no backward pass/);
});
