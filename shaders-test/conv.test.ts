import assert from "node:assert/strict";
import { test } from "node:test";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import { conv2d, planConv2d } from "../src/ops/conv.ts";
import type { ProductVariant } from "../src/ops/tiles.ts";
import { type ConvCase, convCases } from "./product_cases.ts";
import { activate, convReference, convSides } from "./product_reference.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const variants = (["subgroup", "vector", "tiled", "naive"] as const).filter((variant) => variant !== "subgroup" || gpu.has("subgroups"));

/** Pixels of one channel that a workgroup computes. */
const pixelsAWorkgroup = { subgroup: 64, vector: 128, tiled: 64, naive: 64 };

interface CheckOptions {
  variant?: ProductVariant;
  /** With bias, shift, SiLU and residual, or with none of them. */
  extras: boolean;
  dtypeX: Float;
  dtypeW: Float;
}

/** Host values of a case. */
function convValues(shape: ConvCase, dtypeX: Float, dtypeW: Float) {
  const { batches, height, width, c1, c2, cOut, kernel } = shape;
  const [outHeight, outWidth] = convSides(shape);
  return {
    x: randomValues(batches * height * width * c1, 1, dtypeX),
    skip: randomValues(batches * height * width * c2, 2, dtypeX),
    weight: randomValues(kernel[0] * kernel[1] * (c1 + c2) * cOut, 3, dtypeW),
    bias: randomValues(cOut, 4, dtypeW),
    shift: randomValues(batches * cOut, 5, dtypeX),
    residual: randomValues(batches * outHeight * outWidth * cOut, 6, dtypeX),
  };
}

function runConv(on: Gpu, shape: ConvCase, values: ReturnType<typeof convValues>, { variant, extras, dtypeX, dtypeW }: CheckOptions) {
  const { batches, height, width, c1, c2, cOut, kernel, stride, padding, upsample } = shape;
  return on.scope("test", () =>
    conv2d(upload(on, values.x, [batches, height, width, c1], dtypeX), {
      weight: upload(on, values.weight, [...kernel, c1 + c2, cOut], dtypeW),
      skip: c2 > 0 ? upload(on, values.skip, [batches, height, width, c2], dtypeX) : undefined,
      bias: extras ? upload(on, values.bias, [cOut], dtypeW) : undefined,
      shift: extras ? upload(on, values.shift, [batches, cOut], dtypeX) : undefined,
      activation: extras ? "silu" : undefined,
      residual: extras ? upload(on, values.residual, [batches, ...convSides(shape), cOut], dtypeX) : undefined,
      stride,
      padding,
      upsample,
      variant,
    }),
  );
}

async function checkConv(on: Gpu, shape: ConvCase, options: CheckOptions): Promise<void> {
  const { extras, dtypeX, dtypeW } = options;
  const values = convValues(shape, dtypeX, dtypeW);
  const y = runConv(on, shape, values, options);
  const [outHeight, outWidth] = convSides(shape);
  assert.deepEqual(y.shape, [shape.batches, outHeight, outWidth, shape.cOut]);
  const actual = await y.read();
  y.free();
  const { cOut } = shape;
  const { bias, shift, residual } = values;
  const reference = (round: (value: number) => number) =>
    convReference(values, shape, round).map((sum, i) => {
      if (!extras) return sum;
      const sample = Math.floor(i / (outHeight * outWidth * cOut));
      const moved = round(round(sum + bias[i % cOut]) + shift[sample * cOut + (i % cOut)]);
      return round(activate(moved, "silu", round) + residual[i]);
    });
  assertMatches(actual, reference, dtypeX, `conv2d ${JSON.stringify(shape)}`);
}

for (const variant of variants) {
  test(`conv2d ${variant} agrees with the reference for every shape`, async () => {
    for (const [i, shape] of convCases.entries()) await checkConv(gpu, shape, { variant, extras: i % 2 === 0, dtypeX: "f32", dtypeW: "f32" });
  });

  test(`conv2d ${variant} agrees with the reference for every dtype`, async () => {
    for (const dtypeX of testDtypes(gpu)) {
      for (const dtypeW of testDtypes(gpu)) await checkConv(gpu, convCases[6], { variant, extras: true, dtypeX, dtypeW });
    }
  });

  test(`conv2d ${variant} gives a sample the same bits alone and in a batch`, async () => {
    const batch: ConvCase = { ...convCases[1], batches: 5, height: 6, width: 5 };
    const one: ConvCase = { ...batch, batches: 1 };
    const options: CheckOptions = { variant, extras: false, dtypeX: "f32", dtypeW: "f32" };
    const values = convValues(batch, "f32", "f32");
    const whole = Array.from(await runConv(gpu, batch, values, options).read());
    const pixels = batch.height * batch.width;
    const third = { ...values, x: values.x.slice(2 * pixels * batch.c1, 3 * pixels * batch.c1) };
    const alone = Array.from(await runConv(gpu, one, third, options).read());
    assert.deepEqual(alone, whole.slice(2 * pixels * batch.cOut, 3 * pixels * batch.cOut));
  });

  test(`conv2d ${variant} folds grids past 65,535 workgroups`, async () => {
    const width = pixelsAWorkgroup[variant] * 65_537;
    const x = randomValues(width, 1);
    const weight = Float32Array.of(0.7);
    const y = gpu.scope("test", () =>
      conv2d(upload(gpu, x, [1, 1, width, 1]), { weight: upload(gpu, weight, [1, 1, 1, 1]), padding: [0, 1, 0, 0], variant }),
    );
    const actual = await y.read();
    y.free();
    gpu.trim();
    assert.equal(actual[0], 0);
    assert.equal(x.findIndex((value, i) => actual[i + 1] !== Math.fround(value * weight[0])), -1);
  });
}

test("without subgroups and f16 the default agrees as well", async () => {
  for (const shape of convCases.slice(0, 4)) await checkConv(plainGpu, shape, { extras: true, dtypeX: "f32", dtypeW: "f32" });
});

test("the plan follows one sample, not the batch", () => {
  for (const variant of ["subgroup", "vector", "tiled"] as const) {
    const plan = (batches: number) =>
      planConv2d({ batches, height: 8, width: 8, c1: 64, c2: 0, out_height: 8, out_width: 8, c_out: 64, kernel: [3, 3], padding: [1, 1], stride: 1 }, { software: true, subgroupLanes: 8 }, variant);
    assert.deepEqual(plan(50).overrides, plan(1).overrides);
  }
});

test("shapes that do not fit are refused", () => {
  const tensor = (...shape: number[]) => gpu.empty(shape);
  gpu.scope("layer", () => {
    const x = tensor(1, 4, 4, 8);
    assert.throws(() => conv2d(x, { weight: tensor(3, 3, 9, 8) }), /weight takes Cin=9, x has C=8 \(layer\)/);
    assert.throws(() => conv2d(x, { weight: tensor(3, 3, 12, 8), skip: tensor(1, 4, 4, 3) }), /skip is \[1,4,4,3\], needs \[1,4,4,4\]/);
    assert.throws(() => conv2d(x, { weight: tensor(7, 7, 8, 8) }), /does not fit/);
    assert.throws(() => conv2d(x, { weight: tensor(3, 3, 8, 8), shift: tensor(1, 7) }), /shift is \[1,7\], needs \[1,8\]/);
    assert.throws(() => conv2d(tensor(4, 4, 8), { weight: tensor(3, 3, 8, 8) }), /takes \[B, H, W, C\]/);
  });
});
