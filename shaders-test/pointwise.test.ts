import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { fill, full, zeros } from "../src/ops/fill.ts";
import { add, cast, concatLast, copyInto, multiply, scale, silu, sliceLast, toChannelsFirst, toChannelsLast } from "../src/ops/pointwise.ts";
import type { Tensor } from "../src/tensor.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const dtypes = testDtypes(gpu);

/** Numbers of elements: quads and single ones, and more than the grid's invocations take at once. */
const sizes = [1, 3, 4, 1031, 65_540, 20_011];

async function readAndFree(y: Tensor): Promise<Float32Array> {
  const values = await y.read();
  y.free();
  return values;
}

const binaries = [
  { name: "add", op: add, formula: (a: number, b: number) => a + b },
  { name: "multiply", op: multiply, formula: (a: number, b: number) => a * b },
];
const unaries = [
  { name: "scale", op: (x: Tensor) => scale(x, -0.3), formula: (x: number, round: Round) => round(x * round(-0.3)) },
  { name: "silu", op: silu, formula: (x: number, round: Round) => round(x / round(1 + round(Math.exp(-x)))) },
];

for (const dtype of dtypes) {
  for (const size of sizes) {
    for (const { name, op, formula } of binaries) {
      test(`${name} ${dtype} ${size}`, async () => {
        const [a, b] = [randomValues(size, 1, dtype, 4), randomValues(size, 2, dtype, 4)];
        const y = gpu.scope("test", () => op(upload(gpu, a, [size], dtype), upload(gpu, b, [size], dtype)));
        assertMatches(await readAndFree(y), (round) => a.map((value, i) => round(formula(value, b[i]))), dtype, name);
      });
    }
    for (const { name, op, formula } of unaries) {
      test(`${name} ${dtype} ${size}`, async () => {
        const x = randomValues(size, 1, dtype, 8);
        const y = gpu.scope("test", () => op(upload(gpu, x, [size], dtype)));
        assertMatches(await readAndFree(y), (round) => Float64Array.from(x, (value) => formula(value, round)), dtype, name);
      });
    }
  }

  test(`silu ${dtype} of large values`, async () => {
    const y = gpu.scope("test", () => silu(upload(gpu, Float32Array.of(-30_000, -200, 200, 30_000, -90), [5], dtype)));
    const values = await readAndFree(y);
    assert.ok(values.every((value, i) => Math.abs(value - [0, 0, 200, 30_000, 0][i]) < 1e-20), String(values));
  });

  test(`layouts ${dtype}: channels last and back, concatenation, slices and copies`, async () => {
    const x = randomValues(2 * 3 * 5 * 7, 1, dtype);
    const [last, first, joined, slice, target] = gpu.scope("test", () => {
      const images = upload(gpu, x, [2, 3, 5, 7], dtype);
      const last = toChannelsLast(images);
      const joined = concatLast(last, scale(last, 2));
      const target = full(gpu, [2, 106], 9, dtype);
      copyInto(target, images, 1);
      return [last, toChannelsFirst(last), joined, sliceLast(joined, 2, 4), target];
    });
    assert.deepEqual(last.shape, [2, 5, 7, 3]);
    const expected = Float32Array.from({ length: x.length }, (_, i) => x[Math.floor(i / 105) * 105 + (i % 3) * 35 + (Math.floor(i / 3) % 35)]);
    assert.deepEqual(await readAndFree(last), expected);
    assert.deepEqual(first.shape, [2, 3, 5, 7]);
    assert.deepEqual(await readAndFree(first), x);
    assert.deepEqual(joined.shape, [2, 5, 7, 6]);
    assert.deepEqual(await readAndFree(joined), Float32Array.from({ length: 420 }, (_, i) => expected[Math.floor(i / 6) * 3 + (i % 3)] * (i % 6 < 3 ? 1 : 2)));
    assert.deepEqual(slice.shape, [2, 5, 7, 2]);
    assert.deepEqual(await readAndFree(slice), Float32Array.from({ length: 140 }, (_, i) => (i % 2 === 0 ? expected[3 * (i / 2) + 2] : 2 * expected[(3 * (i - 1)) / 2])));
    assert.deepEqual(await readAndFree(target), Float32Array.of(9, ...x, 9));
  });

  test(`fill ${dtype}`, async () => {
    const y = zeros(gpu, [70_001], dtype);
    assert.ok((await y.read()).every((value) => value === 0));
    fill(y, 0.5);
    assert.ok((await readAndFree(y)).every((value) => value === 0.5));
  });
}

test("a cast rounds to nearest and back exactly; a cast to the same type copies nothing", async (t) => {
  const x = Float32Array.of(1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, -65504, 2 ** -24, 0.1, 3);
  const stored = upload(gpu, x, [7]);
  const same = cast(stored, "f32");
  assert.equal(same.buffer, stored.buffer);
  assert.deepEqual(await same.read(), x);
  if (!gpu.has("shader-f16")) return t.skip("no shader-f16");
  const half = cast(stored, "f16");
  const wide = cast(half, "f32");
  assert.equal(half.dtype, "f16");
  // Ties to even: 1 + 2^-11 lies between 1 and 1 + 2^-10, 1 + 3 * 2^-11 between 1 + 2^-10 and 1 + 2^-9.
  const expected = Float32Array.of(1, 1, 1 + 2 ** -9, -65504, 2 ** -24, 0.0999755859375, 3);
  assert.deepEqual(await wide.read(), expected);
  for (const tensor of [stored, same, half, wide]) tensor.free();
});

test("shapes that do not fit are refused by name", () => {
  const [a, b] = [upload(gpu, randomValues(6, 1), [2, 3]), upload(gpu, randomValues(6, 1), [3, 2])];
  const refused = (op: () => unknown, message: RegExp) => assert.throws(op, (error) => error instanceof ShapeError && message.test(error.message));
  refused(() => add(a, b), /add: b is/);
  refused(() => concatLast(a, b), /concatLast: b is/);
  refused(() => sliceLast(a, 1, 4), /sliceLast: columns 1 to 4/);
  refused(() => copyInto(a, b, 1), /copyInto: elements 1 to 7 exceed/);
  refused(() => toChannelsLast(a), /toChannelsLast: takes/);
});
