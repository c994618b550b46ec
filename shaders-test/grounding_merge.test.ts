import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { f16ToF32, f32ToF16 } from "../src/float16.ts";
import { mergeMaps, minMaxNormalise, quantiseUint8, ssimUint8 } from "../src/ops/grounding.ts";
import { mergeReference, normaliseReference, ssimReference } from "./grounding_reference.ts";
import { type Round, assertMatches, randomValues, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

const half: Round = (value) => f16ToF32(f32ToF16(value));
const grey = (count: number, seed: number) => randomValues(count, seed).map((value) => Math.floor((value + 1) * 128));

describe("min-max normalisation", () => {
  for (const [maps, pixels] of [[1, 2], [3, 7], [2, 4096], [66_000, 3]] as const) {
    test(`${maps} maps of ${pixels}`, async () => {
      const x = randomValues(maps * pixels, 4, "f32", 0.02);
      const actual = await minMaxNormalise(upload(gpu, x, [maps, pixels])).read();
      const reference = (round: Round) => Array.from({ length: maps }, (_, p) => [...normaliseReference(x.subarray(p * pixels, (p + 1) * pixels), round)]).flat();
      assertMatches(actual, reference, "f32", "normalise");
    });
  }

  for (const rounding of ["f32", "f16"] as const) {
    test(`a constant map gives zeros, in ${rounding}`, async () => {
      const x = Float32Array.of(0.3, 0.3, 0.3, -1, 1, 0);
      assert.deepEqual([...(await minMaxNormalise(upload(gpu, x, [2, 3]), { rounding }).read())], [0, 0, 0, 0, 1, 0.5]);
    });
  }

  test("f16: rounds to the nearest half, ties to even, subnormals included", async () => {
    // With 0 and 1 among them, normalising leaves nothing but the rounding.
    const ties = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 0.75 + 2 ** -12].map((value) => value / 2);
    const small = [2 ** -14, 2 ** -14 - 2 ** -25, 2 ** -15 + 2 ** -25, 3 * 2 ** -25, 2 ** -24, 2 ** -25, 2 ** -25 + 2 ** -40, 2 ** -26, 1e-20];
    const random = [...randomValues(2000, 9)].map((value) => Math.abs(value) ** 3);
    const x = Float32Array.from([0, 1, ...ties, ...small, ...small.map((value) => 1.7 * value), ...random]);
    const actual = await minMaxNormalise(upload(gpu, x, [x.length]), { rounding: "f16" }).read();
    assert.deepEqual([...actual], [...x].map(half));
  });

  test("f16: every operation is rounded", async () => {
    const x = randomValues(4096, 5, "f32", 0.01).map((value) => value + 0.02);
    const actual = await minMaxNormalise(upload(gpu, x, [4096]), { rounding: "f16" }).read();
    const expected = normaliseReference(x, half);
    // The device's division may be off by an f32 ulp, which can tip a rounding: by one place of a half, in few pixels.
    const different = expected.filter((value, i) => value !== actual[i]).length;
    assert.ok(different <= 8, `${different} of 4096 pixels differ`);
    expected.forEach((value, i) => assert.ok(Math.abs(value - actual[i]) <= 2 ** -11));
    assert.ok(new Set(actual).size < 1500, "float16 leaves few levels");
  });
});

describe("quantisation", () => {
  const x = Float32Array.from([0, 0.5 / 255, 0.999 / 255, 1.001 / 255, 0.99999, 1, ...randomValues(200, 3).map(Math.abs)]);
  test("truncates 255 x", async () => {
    assert.deepEqual([...(await quantiseUint8(upload(gpu, x, [x.length])).read())], [...x].map((value) => Math.trunc(Math.fround(255 * value))));
  });
  test("f16: 255 x is rounded to half first", async () => {
    const actual = await quantiseUint8(upload(gpu, x.map(half), [x.length]), { rounding: "f16" }).read();
    assert.deepEqual([...actual], [...x].map((value) => Math.trunc(half(255 * half(value)))));
    assert.equal(actual[2], 0);
    assert.equal(actual[4], 255);
  });
});

describe("SSIM", () => {
  for (const [maps, side] of [[1, 7], [3, 8], [70, 10], [2, 23], [2, 64], [1, 141]] as const) {
    test(`${maps} pairs of side ${side}`, async () => {
      const [a, noise] = [grey(maps * side ** 2, 1), grey(maps * side ** 2, 2)];
      const b = a.map((value, i) => Math.trunc((value + 2 * noise[i]) / 3));
      const { ssim, s } = ssimUint8(upload(gpu, a, [maps, side ** 2]), upload(gpu, b, [maps, side ** 2]), side);
      assert.deepEqual([ssim.shape, s.shape], [[maps], [maps]]);
      const actual = await ssim.read();
      for (let p = 0; p < maps; p++) {
        const expected = ssimReference(a.subarray(p * side ** 2), b.subarray(p * side ** 2), side);
        assert.ok(Math.abs(actual[p] - expected) < 1e-6, `${actual[p]}, expected ${expected}`);
      }
      assert.deepEqual(await s.read(), actual.map((value) => Math.max(0, value)));
    });
  }

  test("bright maps that hardly differ: variances from large sums", async () => {
    const side = 40;
    const a = grey(side ** 2, 1).map((value) => 255 - (value & 1));
    const b = grey(side ** 2, 2).map((value) => 255 - (value & 1));
    const actual = await ssimUint8(upload(gpu, a, [1, side ** 2]), upload(gpu, b, [1, side ** 2]), side).ssim.read();
    assert.ok(Math.abs(actual[0] - ssimReference(a, b, side)) < 1e-6);
  });

  test("equal maps have 1, inverted ones less than 0, clipped to 0; flat ones the ratio of their means", async () => {
    const a = grey(256, 1);
    const inverted = a.map((value) => 255 - value);
    const flat = new Float32Array(256);
    const pairs = [a, a, flat, flat];
    const others = [a, inverted, flat, flat.map(() => 255)];
    const stack = (maps: Float32Array[]) => upload(gpu, Float32Array.from(maps.flatMap((map) => [...map])), [2, 2, 256]);
    const { ssim, s } = ssimUint8(stack(pairs), stack(others), 16);
    const [raw, clipped] = [await ssim.read(), await s.read()];
    assert.ok(Math.abs(raw[0] - 1) < 1e-6 && raw[1] < -0.5);
    assert.ok(Math.abs(raw[2] - 1) < 1e-6 && Math.abs(raw[3] - 6.5025 / (255 ** 2 + 6.5025)) < 1e-8);
    assert.deepEqual([...clipped], [Math.min(raw[0], 1), 0, Math.min(raw[2], 1), raw[3]]);
  });

  test("a side below 7 is refused", () => {
    const map = gpu.empty([36]);
    assert.throws(() => ssimUint8(map, map, 6), (error) => error instanceof ShapeError && /side 6 holds no window of 7 x 7/.test(error.message));
  });
});

describe("merges", () => {
  const kinds = ["mixture", "linear", "quadratic"] as const;
  const similarities = Float32Array.of(0, 0.25, 0.5, 1); // their polynomials are exact in f32
  const pixels = 300;
  const comb = randomValues(4 * pixels, 1).map((value) => half(Math.abs(value)));
  const mult = randomValues(4 * pixels, 2).map((value) => half(Math.abs(value)));
  const merge = (kind: (typeof kinds)[number], rounding: "f32" | "f16") =>
    mergeMaps(upload(gpu, comb, [2, 2, pixels]), upload(gpu, mult, [2, 2, pixels]), upload(gpu, similarities, [2, 2]), { kind, rounding }).read();
  const reference = (kind: (typeof kinds)[number], round: Round) =>
    Array.from(comb, (value, i) => mergeReference(kind, value, mult[i], similarities[Math.floor(i / pixels)], round));

  for (const kind of kinds) {
    test(kind, async () => assertMatches(await merge(kind, "f32"), (round) => reference(kind, round), "f32", kind));
    test(`${kind}, f16`, async () => assert.deepEqual([...(await merge(kind, "f16"))], reference(kind, half)));
    test(`${kind} runs from P_comb to P_mult`, async () => {
      const map = await merge(kind, "f32");
      assert.deepEqual(map.subarray(0, pixels), comb.subarray(0, pixels));
      assert.deepEqual(map.subarray(3 * pixels), mult.subarray(3 * pixels));
    });
  }
});
