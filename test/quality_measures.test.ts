import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Matrix } from "ml-matrix";
import { randomValues } from "../shaders-test/values.ts";
import type { Plane } from "../src/data/planes.ts";
import { InputError } from "../src/errors.ts";
import { COMPARED_SIDE, diversityOf, drawPairs, similarity } from "../src/quality/diversity.ts";
import { frechetDistance } from "../src/quality/frechet.ts";
import { SMALLEST_SIDE, multiScaleSsim } from "../src/quality/ms_ssim.ts";
import { type Gaussian, RunningGaussian } from "../src/quality/statistics.ts";

const near = (actual: number, expected: number, bound: number) => assert.ok(Math.abs(actual - expected) <= bound, `${actual} is not ${expected} within ${bound}`);

/** Mean and unbiased covariance by their definitions. */
function directGaussian(rows: Float32Array, D: number): Gaussian {
  const count = rows.length / D;
  const mean = Float64Array.from({ length: D }, (_, d) => Array.from({ length: count }, (_, i) => rows[i * D + d]).reduce((a, b) => a + b) / count);
  const covariance = new Matrix(D, D);
  for (let d = 0; d < D; d++) {
    for (let e = 0; e < D; e++) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += (rows[i * D + d] - mean[d]) * (rows[i * D + e] - mean[e]);
      covariance.set(d, e, sum / (count - 1));
    }
  }
  return { count, mean, covariance };
}

describe("running mean and covariance", () => {
  const D = 5;
  // Far from 0, where sums of squares would have lost all digits of the variance.
  const rows = randomValues(23 * D, 1).map((value) => value + 4000);

  for (const sizes of [[23], [1, 22], [7, 7, 9], Array<number>(23).fill(1)]) {
    test(`of batches of ${sizes.length > 4 ? "1" : sizes.join(", ")}`, () => {
      const running = new RunningGaussian(D);
      let at = 0;
      for (const size of sizes) running.add(rows.subarray(at, (at += size * D)));
      const [actual, expected] = [running.fit(), directGaussian(rows, D)];
      assert.equal(actual.count, 23);
      for (let d = 0; d < D; d++) near(actual.mean[d], expected.mean[d], 1e-9);
      near(Matrix.sub(actual.covariance, expected.covariance).norm("frobenius"), 0, 1e-9);
      assert.ok(actual.covariance.isSymmetric());
    });
  }

  test("one vector has no covariance, and a part of one is refused", () => {
    const running = new RunningGaussian(D);
    running.add(new Float32Array(0));
    running.add(rows.subarray(0, D));
    assert.throws(() => running.fit(), /1 vectors have no covariance/);
    assert.throws(() => running.add(rows.subarray(0, D + 1)), /6 values are no rows of 5/);
  });
});

describe("Fréchet distance", () => {
  const gaussian = (mean: number[], covariance: Matrix, count = 100): Gaussian => ({ count, mean: Float64Array.from(mean), covariance });

  test("of covariances that commute, by their eigenvalues", () => {
    // A rotation of diag(1, 4, 9) and of diag(16, 4, 0.25): the distance is that of the diagonals.
    const rotation = rotationMatrix(0.7, 1.9);
    const rotated = (diagonal: number[]) => rotation.mmul(Matrix.diag(diagonal)).mmul(rotation.transpose());
    const distance = frechetDistance(gaussian([1, 2, 3], rotated([1, 4, 9])), gaussian([0, 2, 5], rotated([16, 4, 0.25])));
    near(distance, 1 + 4 + (1 - 4) ** 2 + 0 + (3 - 0.5) ** 2, 1e-10);
  });

  test("of one dimension is that of means and deviations", () => {
    near(frechetDistance(gaussian([3], new Matrix([[4]])), gaussian([1], new Matrix([[9]]))), 4 + 1, 1e-12);
  });

  test("is 0 between equals, symmetric, and never asks for full rank", () => {
    const D = 40;
    const few = directGaussian(randomValues(12 * D, 3), D);
    const many = directGaussian(randomValues(90 * D, 4, "f32", 2), D);
    near(frechetDistance(few, few), 0, 1e-10);
    near(frechetDistance(many, many), 0, 1e-10);
    near(frechetDistance(few, many), frechetDistance(many, few), 1e-10);
    // From the other side, the one of full rank taken apart, the roots of zeros that rounding made 1e-15 remain.
    near(frechetDistance({ ...few, count: 1000 }, many), frechetDistance(few, many), 1e-5);
  });

  test("of points without spread is that of the means", () => {
    assert.equal(frechetDistance(gaussian([1, 2], new Matrix(2, 2)), gaussian([4, 6], new Matrix(2, 2))), 25);
    near(frechetDistance(gaussian([0, 0], new Matrix(2, 2)), gaussian([0, 0], Matrix.diag([2, 3]))), 5, 1e-12);
  });

  test("vectors of different lengths are refused", () => {
    assert.throws(() => frechetDistance(gaussian([1], Matrix.eye(1)), gaussian([1, 2], Matrix.eye(2))), /1 and 2 features/);
  });
});

/** A rotation about two axes. */
function rotationMatrix(a: number, b: number): Matrix {
  const about = new Matrix([[Math.cos(a), -Math.sin(a), 0], [Math.sin(a), Math.cos(a), 0], [0, 0, 1]]);
  return about.mmul(new Matrix([[1, 0, 0], [0, Math.cos(b), -Math.sin(b)], [0, Math.sin(b), Math.cos(b)]]));
}

const plane = (width: number, height: number, value: (x: number, y: number) => number): Plane => ({
  width,
  height,
  data: Float64Array.from({ length: width * height }, (_, i) => value(i % width, Math.floor(i / width))),
});
const waves = (width: number, height: number, phase: number) => plane(width, height, (x, y) => 0.5 + 0.25 * Math.sin(x / 7 + phase) + 0.2 * Math.cos(y / 5));

describe("MS-SSIM", () => {
  test("is 1 for equal images, less for others, and 0 where structures are opposite", () => {
    const [a, b] = [waves(SMALLEST_SIDE, 191, 0), waves(SMALLEST_SIDE, 191, 0.8)];
    near(multiScaleSsim([a], [a]), 1, 1e-12);
    const similar = multiScaleSsim([a], [b]);
    assert.ok(similar > 0.2 && similar < 0.95, String(similar));
    assert.equal(multiScaleSsim([a], [b]), multiScaleSsim([b], [a]));
    const noise = randomValues(SMALLEST_SIDE ** 2, 1).map((value) => value / 2 + 0.5);
    const fine = plane(SMALLEST_SIDE, SMALLEST_SIDE, (x, y) => noise[y * SMALLEST_SIDE + x]);
    assert.equal(multiScaleSsim([fine], [{ ...fine, data: fine.data.map((value) => 1 - value) }]), 0);
  });

  test("of constant images is their likeness in luminance, to the power of the coarsest scale", () => {
    const [a, b] = [0.25, 0.75].map((grey) => plane(SMALLEST_SIDE, SMALLEST_SIDE, () => grey));
    near(multiScaleSsim([a], [b]), ((2 * 0.25 * 0.75 + 1e-4) / (0.25 ** 2 + 0.75 ** 2 + 1e-4)) ** 0.1333, 1e-9);
  });

  test("of several channels is the power of their means", () => {
    const [a, b] = [waves(200, 180, 0), waves(200, 180, 0.8)];
    near(multiScaleSsim([a, a, a], [b, b, b]), multiScaleSsim([a], [b]), 1e-12);
    const mixed = multiScaleSsim([a, a], [b, a]);
    assert.ok(mixed > multiScaleSsim([a], [b]) && mixed < 1);
  });

  test("sizes that differ or have no fifth scale are refused", () => {
    const refuses = (a: Plane[], b: Plane[], fact: RegExp) => assert.throws(() => multiScaleSsim(a, b), (error) => error instanceof InputError && fact.test(error.message));
    refuses([waves(200, 180, 0)], [waves(180, 200, 0)], /200x180 in 1 channels and 180x200/);
    refuses([waves(200, 180, 0)], [waves(200, 180, 0), waves(200, 180, 0)], /in 2 channels/);
    refuses([waves(200, SMALLEST_SIDE - 1, 0)], [waves(200, SMALLEST_SIDE - 1, 0)], /sides of 176 pixels/);
  });

  test("images of any size are brought to one, grey beside colour", () => {
    const [a, b] = [waves(128, 128, 0), waves(128, 128, 0.8)];
    near(similarity([a], [a, a, a]), 1, 1e-12);
    const enlarged = similarity([a], [b]);
    assert.ok(enlarged > 0.1 && enlarged < 0.99, String(enlarged));
    const whole = waves(COMPARED_SIDE, COMPARED_SIDE, 0);
    near(similarity([whole], [waves(COMPARED_SIDE + 50, COMPARED_SIDE, -25 / 7)]), 1, 1e-9); // the crop starts at pixel 25
  });
});

describe("pairs of images", () => {
  const groups = [["a", "b", "c"], ["d"], ["e", "f"]];

  test("all of each group where they are few", () => {
    assert.deepEqual(drawPairs(groups, 4, 0), [["a", "b"], ["a", "c"], ["b", "c"], ["e", "f"]]);
    assert.deepEqual(drawPairs([["a"], []], 10, 0), []);
  });

  test("as many different ones as are wanted, by the seed", () => {
    const images = Array.from({ length: 300 }, (_, i) => i);
    const drawn = drawPairs([images, [1000, 1001]], 50, 7);
    assert.equal(new Set(drawn.map(String)).size, 50);
    assert.ok(drawn.every(([a, b]) => a < b && b < 300 || a === 1000));
    assert.deepEqual(drawPairs([images, [1000, 1001]], 50, 7), drawn);
    assert.notDeepEqual(drawPairs([images, [1000, 1001]], 50, 8), drawn);
    const spread = new Set(drawn.flat());
    assert.ok(spread.size > 70, `${spread.size} images in 50 pairs`);
  });

  test("mean and unbiased deviation", () => {
    assert.deepEqual(diversityOf([0.25, 0.75]), { pairs: 2, mean: 0.5, deviation: Math.sqrt(0.125) });
  });
});
