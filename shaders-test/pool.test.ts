import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { type PoolOptions, averagePool, maxPool, pixelMean } from "../src/ops/pool.ts";
import { tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

interface PoolCase extends PoolOptions {
  batches: number;
  sides: readonly [height: number, width: number];
  channels: number;
}

/** Windows of the networks (Inception, ResNet, DenseNet), rectangular ones, size 1, primes, and rows that no window reaches. */
const cases: readonly PoolCase[] = [
  { batches: 2, sides: [7, 9], channels: 5, kernel: [3, 3], stride: 2 },
  { batches: 1, sides: [8, 6], channels: 3, kernel: [3, 3], stride: 2, padding: [1, 1] },
  { batches: 3, sides: [5, 4], channels: 7, kernel: [3, 3], stride: 1, padding: [1, 1] },
  { batches: 1, sides: [7, 5], channels: 4, kernel: [2, 2], stride: 2 },
  { batches: 1, sides: [1, 1], channels: 1, kernel: [1, 1], stride: 1 },
  { batches: 1, sides: [1, 1], channels: 2, kernel: [3, 3], stride: 2, padding: [1, 1] },
  { batches: 2, sides: [11, 13], channels: 3, kernel: [2, 5], stride: 3, padding: [1, 2] },
  { batches: 1, sides: [67, 65], channels: 8, kernel: [3, 3], stride: 1, padding: [1, 1] },
];

/** The values of every window that lie inside the image, window by window, channels last. */
function windows(x: Float32Array, { batches, sides: [height, width], channels, kernel, stride, padding = [0, 0] }: PoolCase): { shape: number[]; values: number[][] } {
  const [outHeight, outWidth] = [height, width].map((side, axis) => Math.floor((side + 2 * padding[axis] - kernel[axis]) / stride) + 1);
  const values = Array.from({ length: batches * outHeight * outWidth * channels }, (_, i) => {
    const [channel, pixel] = [i % channels, Math.floor(i / channels)];
    const [left, top] = [(pixel % outWidth) * stride - padding[1], (Math.floor(pixel / outWidth) % outHeight) * stride - padding[0]];
    const batch = Math.floor(pixel / outWidth / outHeight);
    const inside: number[] = [];
    for (let row = Math.max(top, 0); row < Math.min(top + kernel[0], height); row++) {
      for (let column = Math.max(left, 0); column < Math.min(left + kernel[1], width); column++) {
        inside.push(x[((batch * height + row) * width + column) * channels + channel]);
      }
    }
    return inside;
  });
  return { shape: [batches, outHeight, outWidth, channels], values };
}

const mean = (values: number[], round: Round) => round(values.reduce((sum, value) => round(sum + value), 0) / values.length);

for (const dtype of testDtypes(gpu)) {
  for (const shape of cases) {
    const { batches, sides, channels, kernel, stride, padding } = shape;
    test(`pools ${dtype} ${kernel.join("x")} of ${sides.join("x")}, stride ${stride}, padding ${padding ?? 0}`, async () => {
      const x = randomValues(batches * sides[0] * sides[1] * channels, 1, dtype, 3);
      const expected = windows(x, shape);
      const { greatest, averages } = gpu.scope("test", () => {
        const input = upload(gpu, x, [batches, ...sides, channels], dtype);
        return { greatest: maxPool(input, shape), averages: averagePool(input, shape) };
      });
      assert.deepEqual(greatest.shape, expected.shape);
      assert.deepEqual(averages.shape, expected.shape);
      assert.deepEqual(Array.from(await greatest.read()), expected.values.map((values) => Math.max(...values)));
      assertMatches(await averages.read(), (round) => expected.values.map((values) => mean(values, round)), dtype, "average pool");
      greatest.free();
      averages.free();
    });
  }

  test(`the greatest of values below any that f16 holds is their own ${dtype}`, async () => {
    const least = dtype === "f16" ? -65504 : -3.3e38;
    const y = gpu.scope("test", () => maxPool(upload(gpu, new Float32Array(9).fill(least), [1, 3, 3, 1], dtype), { kernel: [3, 3], stride: 2, padding: [1, 1] }));
    assert.deepEqual(Array.from(await y.read()), Array<number>(4).fill(Math.fround(least)));
    y.free();
  });

  test(`pixel mean ${dtype}`, async () => {
    const [batches, height, width, channels] = [2, 5, 7, 19];
    const x = randomValues(batches * height * width * channels, 2, dtype);
    const y = gpu.scope("test", () => pixelMean(upload(gpu, x, [batches, height, width, channels], dtype)));
    assert.deepEqual(y.shape, [batches, channels]);
    const column = (i: number) => Array.from({ length: height * width }, (_, pixel) => x[(Math.floor(i / channels) * height * width + pixel) * channels + (i % channels)]);
    assertMatches(await y.read(), (round) => Float64Array.from({ length: batches * channels }, (_, i) => mean(column(i), round)), dtype, "pixel mean");
    y.free();
  });
}

test("shapes that do not fit are refused by name", () => {
  const x = upload(gpu, randomValues(12, 1), [1, 3, 4, 1]);
  const refuses = (options: PoolOptions, fact: RegExp) => assert.throws(() => maxPool(x, options), (error) => error instanceof ShapeError && fact.test(error.message));
  refuses({ kernel: [4, 2], stride: 1 }, /does not fit 3x4/);
  refuses({ kernel: [2, 2], stride: 1, padding: [0, 2] }, /padding 0,2 is more than half/);
  assert.throws(() => averagePool(x.reshape(3, 4), { kernel: [1, 1], stride: 1 }), /\[B, H, W, C\]/);
  x.free();
});

test("a gradient is refused, not lost", async () => {
  const x = upload(gpu, randomValues(9, 1), [1, 3, 3, 1]);
  for (const pool of [maxPool, averagePool]) {
    await assert.rejects(async () => tapeGradients(gpu, [x], () => pool(x, { kernel: [3, 3], stride: 1 }), x), /has no backward pass/);
  }
  x.free();
});
