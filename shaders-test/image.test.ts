import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { meanFilter3x3, resizeBilinear } from "../src/ops/image.ts";
import { interpolateReference, resizeBilinearReference } from "../test/reference_resize.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

/** Applies a reference of single planes to [B, H, W, C]. */
function byPlane(x: Float32Array, batches: number, channels: number, plane: (values: Float64Array) => Float64Array): Float64Array {
  const pixels = x.length / batches / channels;
  let y = new Float64Array(0);
  for (let b = 0; b < batches; b++) {
    for (let c = 0; c < channels; c++) {
      const result = plane(Float64Array.from({ length: pixels }, (_, i) => x[(b * pixels + i) * channels + c]));
      if (y.length === 0) y = new Float64Array(batches * result.length * channels);
      for (const [i, value] of result.entries()) y[(b * result.length + i) * channels + c] = value;
    }
  }
  return y;
}

/** Input and output height and width: down, up, mixed, to and from one pixel, the same, and a film's sides. */
const resizes = [
  [7, 9, 3, 4],
  [3, 5, 8, 7],
  [11, 4, 5, 13],
  [5, 6, 1, 1],
  [1, 1, 3, 2],
  [6, 6, 6, 6],
  [700, 13, 698, 13],
  [16, 16, 512, 5],
] as const;

for (const dtype of testDtypes(gpu)) {
  for (const antialias of [true, false]) {
    for (const [inHeight, inWidth, height, width] of resizes) {
      test(`resize ${dtype} ${inHeight}x${inWidth} to ${height}x${width}${antialias ? ", antialiased" : ""}`, async () => {
        const x = randomValues(2 * inHeight * inWidth * 3, 1, dtype);
        const y = gpu.scope("test", () => resizeBilinear(upload(gpu, x, [2, inHeight, inWidth, 3], dtype), height, width, { antialias }));
        assert.deepEqual(y.shape, [2, height, width, 3]);
        const formula = antialias ? resizeBilinearReference : interpolateReference;
        const reference = () => byPlane(x, 2, 3, (plane) => formula(plane, { width: inWidth, height: inHeight }, { width, height }));
        const actual = await y.read();
        y.free();
        assertMatches(actual, reference, dtype, "resize");
      });
    }
  }

  test(`3x3 mean filter ${dtype}`, async () => {
    for (const [batches, height, width] of [[2, 7, 5], [1, 1, 4], [1, 2, 2], [3, 64, 64], [1, 3, 3]]) {
      const x = randomValues(batches * height * width, 1, dtype);
      const y = gpu.scope("test", () => meanFilter3x3(upload(gpu, x, [batches, height, width], dtype)));
      const actual = await y.read();
      y.free();
      const reference = (round: Round) =>
        Float64Array.from(x, (value, i) => {
          const [row, column] = [Math.floor(i / width) % height, i % width];
          if (row === 0 || column === 0 || row === height - 1 || column === width - 1) return value;
          let sum = 0;
          for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) sum = round(sum + x[i + dy * width + dx]);
          return round(sum / 9);
        });
      assertMatches(actual, reference, dtype, "mean filter");
    }
  });
}

test("shapes that do not fit are refused by name", () => {
  const x = upload(gpu, randomValues(12, 1), [3, 4]);
  assert.throws(() => resizeBilinear(x, 2, 2, { antialias: true }), (error) => error instanceof ShapeError && /\[B, H, W, C\]/.test(error.message));
  assert.throws(() => resizeBilinear(x.reshape(1, 3, 4, 1), 0, 2, { antialias: true }), (error) => error instanceof ShapeError && /0x2/.test(error.message));
  assert.throws(() => meanFilter3x3(x), (error) => error instanceof ShapeError && /\[B, H, W\]/.test(error.message));
});
