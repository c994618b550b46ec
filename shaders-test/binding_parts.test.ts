import assert from "node:assert/strict";
import { test } from "node:test";
import { UnsupportedError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Float } from "../src/ops/check.ts";
import { type Conv2dOptions, conv2d } from "../src/ops/conv.ts";
import { geglu, linear } from "../src/ops/matmul.ts";
import { groupNorm } from "../src/ops/norm.ts";
import { silu } from "../src/ops/pointwise.ts";
import type { Tensor } from "../src/tensor.ts";
import { randomValues, testDtypes, testGpu, upload } from "./harness.ts";

// Tensors larger than a binding: ops divide them, and give the bits that they give in one piece.

const whole = await testGpu();
const limit = 250_000;
const cut = await testGpu({ maxBindingBytes: limit });

/** The inputs of an op on a device, the same on every one. */
type Inputs = (...shape: number[]) => Tensor;

async function assertSameBits(dtype: Float, op: (inputs: Inputs) => Tensor): Promise<void> {
  const on = (gpu: Gpu) => {
    let seed = 0;
    return () => op((...shape) => upload(gpu, randomValues(shape.reduce((a, b) => a * b), ++seed, dtype), shape, dtype));
  };
  const { dispatches, largestBinding } = cut.plan(() => void on(cut)());
  assert.ok(largestBinding.bytes <= limit, `${largestBinding.bytes} bytes in ${largestBinding.kernel}`);
  assert.ok(dispatches > whole.plan(() => void on(whole)()).dispatches, "the op was not divided");
  const [expected, actual] = [await whole.readRaw(on(whole)()), await cut.readRaw(on(cut)())];
  assert.ok(Buffer.from(actual).equals(Buffer.from(expected)));
}

/** A convolution of `shape` to `out`, 64 channels each. */
const convolution = (shape: number[], out: number[], options: (inputs: Inputs) => Partial<Conv2dOptions>) => (inputs: Inputs) => {
  const given = options(inputs);
  const weight = inputs(3, 3, given.skip ? 96 : 64, 64);
  return conv2d(inputs(...shape), { weight, bias: inputs(64), residual: inputs(...out), padding: [1, 1, 1, 1], ...given });
};

for (const variant of ["subgroup", "vector", "tiled", "naive"] as const) {
  if (variant === "subgroup" && !whole.has("subgroups")) continue;
  test(`conv2d, ${variant}: bands of every sample, with skip and shift`, async () => {
    const [height, width] = [66, 20];
    const shape = [2, height, width, 64];
    await assertSameBits("f32", convolution(shape, shape, (inputs) => ({ skip: inputs(2, height, width, 32), shift: inputs(2, 64), variant })));
  });
}

for (const dtype of testDtypes(whole)) {
  // As many bytes in either type.
  const long = dtype === "f16" ? 2 : 1;

  test(`conv2d in ${dtype}: a stride of two, padded at the end only`, async () => {
    await assertSameBits(dtype, convolution([1, 130 * long, 20, 64], [1, 65 * long, 10, 64], () => ({ stride: 2, padding: [0, 0, 1, 1] })));
  });

  test(`conv2d in ${dtype}: upsampled rows, read from their middle`, async () => {
    await assertSameBits(dtype, convolution([1, 33 * long, 20, 64], [1, 66 * long, 40, 64], () => ({ upsample: true })));
  });

  test(`linear and geglu in ${dtype}`, async () => {
    const rows = [3, 333 * long];
    await assertSameBits(dtype, (inputs) => linear(inputs(...rows, 96), { weight: inputs(96, 160), bias: inputs(160), residual: inputs(...rows, 160) }));
    await assertSameBits(dtype, (inputs) => geglu(inputs(...rows, 96), { weight: inputs(96, 320), bias: inputs(320) }));
  });

  test(`groupNorm in ${dtype}: two inputs, tails of chunks`, async () => {
    const shape = [2, 66 * long, 20, 64];
    await assertSameBits(dtype, (inputs) => groupNorm(inputs(...shape), { weight: inputs(128), bias: inputs(128), skip: inputs(...shape), groups: 32, eps: 1e-5, silu: true }));
  });
}

test("an op that cannot divide its tensors says so", () => {
  const x = cut.empty([limit]);
  assert.throws(() => cut.scope("large", () => silu(x)), (error: Error) => error instanceof UnsupportedError && /\(large\): needs 1000000 bytes in one binding, the device has 250000/.test(error.message));
});
