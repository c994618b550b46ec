import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { addInto, sum, sumRows } from "../src/ops/accumulate.ts";
import { add, cast, concatLast, multiply, scale, silu, siluBackward, sliceLast, toChannelsFirst, toChannelsLast } from "../src/ops/pointwise.ts";
import type { Tensor } from "../src/tensor.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const dtypes = testDtypes(gpu);

/** Numbers of elements: quads and single ones, and more than the grid's invocations take at once. */
const sizes = [1, 3, 4, 1031, 65_540, 20_011];

const sigmoid = (x: number, round: Round) => round(1 / round(1 + round(Math.exp(-x))));
const siluReference = (x: ArrayLike<number>) => Array.from(x, (value) => value * sigmoid(value, Number));
const siluGradient = (x: number, dy: number, round: Round) => {
  const s = sigmoid(x, round);
  return round(round(dy * s) * round(1 + round(x * round(1 - s))));
};

test("the reference of silu's gradient is the derivative of silu", () => {
  const [x, dy] = [randomValues(9, 1, "f32", 5), randomValues(9, 2)];
  assertDerivative(siluReference, x, dy, Array.from(x, (value, i) => siluGradient(value, dy[i], Number)), "silu");
});

for (const dtype of dtypes) {
  for (const size of sizes) {
    const given = (seed: number) => randomValues(size, seed, dtype, 4);
    const place = (values: Float32Array) => upload(gpu, values, [size], dtype);
    const [a, b, dy] = [given(1), given(2), given(3)];

    test(`gradients of add and multiply ${dtype} ${size}`, async () => {
      const [left, right, gradient] = [place(a), place(b), place(dy)];
      const sums = await tapeGradients(gpu, [left, right], () => add(left, right), gradient);
      assert.deepEqual(sums, [dy, dy]);
      const [da, db] = await tapeGradients(gpu, [left, right], () => multiply(left, right), gradient);
      assertMatches(da, (round) => dy.map((value, i) => round(value * b[i])), dtype, "da");
      assertMatches(db, (round) => dy.map((value, i) => round(value * a[i])), dtype, "db");
      for (const tensor of [left, right, gradient]) tensor.free();
    });

    test(`gradients of scale and silu ${dtype} ${size}`, async () => {
      const [x, gradient] = [place(a), place(dy)];
      const [scaled] = await tapeGradients(gpu, [x], () => scale(x, -0.3), gradient);
      assertMatches(scaled, (round) => dy.map((value) => round(value * round(-0.3))), dtype, "scale");
      const [dx] = await tapeGradients(gpu, [x], () => silu(x), gradient);
      assertMatches(dx, (round) => Float64Array.from(a, (value, i) => siluGradient(value, dy[i], round)), dtype, "silu");
      x.free();
      gradient.free();
    });

    test(`add into ${dtype} ${size}`, async () => {
      const [into, x] = [place(a), place(b)];
      addInto(into, x);
      assertMatches(await into.read(), (round) => a.map((value, i) => round(value + b[i])), dtype, "add into");
      into.free();
      x.free();
    });
  }

  test(`gradients of the layouts ${dtype} are the layouts of the gradient`, async () => {
    const shape = [2, 3, 5, 7];
    const x = upload(gpu, randomValues(210, 1, dtype), shape, dtype);
    const dy = randomValues(210, 2, dtype);
    const y = upload(gpu, dy, [2, 5, 7, 3], dtype);
    const back = toChannelsFirst(y);
    assert.deepEqual(await tapeGradients(gpu, [x], () => toChannelsLast(x), y), [await back.read()]);
    assert.deepEqual(await tapeGradients(gpu, [y], () => toChannelsFirst(y), back), [dy]);
    for (const tensor of [x, y, back]) tensor.free();
  });

  test(`gradients of concatenation and slices ${dtype}`, async () => {
    const [a, b] = [upload(gpu, randomValues(6, 1, dtype), [3, 2], dtype), upload(gpu, randomValues(12, 2, dtype), [3, 4], dtype)];
    const dy = randomValues(18, 3, dtype);
    const gradient = upload(gpu, dy, [3, 6], dtype);
    const columns = (first: number, last: number) => dy.filter((_, i) => i % 6 >= first && i % 6 < last);
    assert.deepEqual(await tapeGradients(gpu, [a, b], () => concatLast(a, b), gradient), [columns(0, 2), columns(2, 6)]);
    assert.deepEqual(await tapeGradients(gpu, [b], () => concatLast(a, b), gradient), [columns(2, 6)]);
    const slice = upload(gpu, columns(1, 3), [3, 2], dtype);
    const [dx] = await tapeGradients(gpu, [b], () => sliceLast(b, 1, 3), slice);
    assert.deepEqual(dx, Float32Array.from({ length: 12 }, (_, i) => (i % 4 === 1 || i % 4 === 2 ? dy[6 * Math.floor(i / 4) + (i % 4)] : 0)));
    for (const tensor of [a, b, gradient, slice]) tensor.free();
  });

  for (const [batches, rows, stride] of [[1, 1, 1], [2, 64, 3], [1, 65, 5], [3, 5003, 2], [1, 2, 70_001]] as const) {
    test(`sum of rows ${dtype} ${batches}x${rows}x${stride}`, async () => {
      const values = randomValues(batches * rows * stride, 1, dtype);
      const x = upload(gpu, values, [batches, rows, stride], dtype);
      const [first, columns] = [Math.floor(stride / 2), Math.ceil(stride / 2)];
      const read = async (y: Tensor) => {
        const result = await y.read();
        y.free();
        return result;
      };
      const reference = (from: number, count: number) => (round: Round) => {
        const sums = new Float64Array(batches * count);
        for (let b = 0; b < batches; b++) {
          for (let r = 0; r < rows; r++) {
            for (let c = 0; c < count; c++) sums[b * count + c] = round(sums[b * count + c] + values[(b * rows + r) * stride + from + c]);
          }
        }
        return sums;
      };
      assertMatches(await read(sumRows(x)), reference(0, stride), "f32", "all columns");
      assertMatches(await read(sumRows(x, { first, columns })), reference(first, columns), "f32", "some columns");
      x.free();
    });
  }
}

test("a cast's gradient has the dtype of what was cast", async (t) => {
  if (!gpu.has("shader-f16")) return t.skip("no shader-f16");
  const [x, dy] = [upload(gpu, randomValues(5, 1, "f16"), [5], "f16"), upload(gpu, Float32Array.of(1, 0.1, -3, 1e-3, 0), [5])];
  const rounded = cast(dy, "f16");
  assert.deepEqual(await tapeGradients(gpu, [x], () => cast(x, "f32"), dy), [await rounded.read()]);
});

test("silu's gradient of large values", async () => {
  const x = upload(gpu, Float32Array.of(-30_000, -200, -90, 90, 200, 30_000), [6]);
  const dx = siluBackward(upload(gpu, Float32Array.of(1, 1, 1, 1, 1, 1), [6]), x);
  const values = await dx.read();
  assert.ok(values.every((value, i) => Math.abs(value - [0, 0, 0, 1, 1, 1][i]) < 1e-20), String(values));
});

test("the sum of one row over more columns than one grid dimension holds is the row", async () => {
  const values = randomValues(64 * 65_536 + 1, 1);
  const row = upload(gpu, values, [1, 1, values.length]);
  const sums = sumRows(row);
  assert.ok(Buffer.from(values.buffer).equals(Buffer.from((await sums.read()).buffer)));
  row.free();
  sums.free();
});

test("sums of partial sums, with a factor", async () => {
  for (const size of [1, 255, 5000]) {
    const values = randomValues(size, 1).map(Math.abs);
    const total = gpu.scope("test", () => sum(upload(gpu, values, [size]), 0.25));
    const reference = (round: Round) => [0.25 * values.reduce((partial: number, value) => round(partial + value), 0)];
    assertMatches(await total.read(), reference, "f32", `sum of ${size}`);
    total.free();
  }
});

test("shapes that do not fit are refused by name", () => {
  const [a, b] = [upload(gpu, randomValues(6, 1), [2, 3]), upload(gpu, randomValues(4, 1), [4])];
  const refused = (op: () => unknown, message: RegExp) => assert.throws(op, (error) => error instanceof ShapeError && message.test(error.message));
  refused(() => addInto(a, b), /addInto: .*does not add/);
  refused(() => siluBackward(a, b), /siluBackward: dy is/);
  refused(() => sumRows(a), /sumRows: takes/);
  refused(() => sumRows(a.reshape(1, 2, 3), { first: 1, columns: 3 }), /sumRows: columns 1 to 4/);
});
