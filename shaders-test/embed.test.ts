import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError, ShapeError } from "../src/errors.ts";
import { checkIds, embedding, paddedPositions, timestepEmbedding } from "../src/ops/embed.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const dtypes = testDtypes(gpu);

for (const tableDtype of dtypes) {
  for (const dtype of dtypes) {
    test(`embedding of a ${tableDtype} table in ${dtype}, whole and in chunks`, async () => {
      const [vocabulary, channels] = [101, 7];
      const table = randomValues(vocabulary * channels, 1, tableDtype);
      const ids = Uint32Array.of(0, 100, 63, 64, 5, 5, 99, 1, 65, 40);
      const [whole, chunked] = gpu.scope("test", () => {
        const idTensor = gpu.tensor(ids, [2, 5]);
        const rows = (start: number, end: number) => upload(gpu, table.subarray(start * channels, end * channels), [end - start, channels], tableDtype);
        return [embedding(idTensor, rows(0, vocabulary), { dtype }), embedding(idTensor, [rows(0, 64), rows(64, 65), rows(65, 101)], { dtype })];
      });
      assert.deepEqual(whole.shape, [2, 5, channels]);
      const expected = Float32Array.from({ length: 10 * channels }, (_, i) => table[ids[Math.floor(i / channels)] * channels + (i % channels)]);
      assertMatches(await whole.read(), () => expected, dtype, "embedding");
      assert.deepEqual(await chunked.read(), await whole.read());
      whole.free();
      chunked.free();
    });
  }
}

test("ids out of range give NaN, and checkIds names them", async () => {
  const y = gpu.scope("test", () => {
    const table = [upload(gpu, Float32Array.of(1, 2), [1, 2]), upload(gpu, Float32Array.of(3, 4), [1, 2])];
    return embedding(gpu.tensor(Uint32Array.of(1, 2, 0, 2 ** 32 - 1), [4]), table);
  });
  assert.deepEqual(await y.read(), Float32Array.of(3, 4, NaN, NaN, 1, 2, NaN, NaN));
  y.free();
  checkIds([0, 1], 2);
  assert.throws(() => checkIds([0, 2], 2, "phrase"), (error) => error instanceof InputError && /phrase: id 2 at position 1 .*2;/.test(error.message));
  assert.throws(() => checkIds([-1], 2), InputError);
  assert.throws(() => checkIds([0.5], 2), InputError);
});

test("positions count what is not padding, from the id of padding", async () => {
  const [rows, length, padding] = [3, 77, 1];
  const ids = Uint32Array.from({ length: rows * length }, (_, i) => (i % length > 60 || i % 7 === 3 ? padding : i % 5 === 0 ? 0 : 2 + (i % 40)));
  const expected = Array.from({ length: rows }, (_, b) => {
    let seen = 0;
    return Array.from(ids.subarray(b * length, (b + 1) * length), (id) => (id === padding ? padding : padding + ++seen));
  });
  const y = gpu.scope("test", () => paddedPositions(gpu.tensor(ids, [rows, length]), padding));
  assert.deepEqual([...(await y.read())], expected.flat());
  y.free();
});

/** get_timestep_embedding of diffusers: frequencies and angles in f32, sines and cosines of them in f64. */
function timestepReference(timesteps: readonly number[], dim: number, flip: boolean, shift: number, maxPeriod: number): number[] {
  const half = Math.floor(dim / 2);
  const { fround } = Math;
  return timesteps.flatMap((t) => {
    const angles = Array.from({ length: half }, (_, i) => fround(t * fround(Math.exp(fround(fround(fround(-Math.log(maxPeriod)) * i) / (half - shift))))));
    const [sines, cosines] = [angles.map(Math.sin), angles.map(Math.cos)];
    return [...(flip ? [...cosines, ...sines] : [...sines, ...cosines]), ...(dim % 2 === 1 ? [0] : [])];
  });
}

for (const [dim, flipSinToCos, freqShift, maxPeriod] of [[320, true, 0, 10000], [128, false, 1, 10000], [5, true, 0, 10000], [2, false, 0, 100]] as const) {
  test(`timestep embedding of dim ${dim}, shift ${freqShift}, within 1e-6 of diffusers`, async () => {
    const timesteps = [0, 1, 2, 261, 500.5, 981, 999, 1000, 65535];
    for (const dtype of dtypes) {
      const y = gpu.scope("test", () => timestepEmbedding(gpu.tensor(Float32Array.from(timesteps), [timesteps.length]), { dim, flipSinToCos, freqShift, maxPeriod, dtype }));
      const values = await y.read();
      assert.deepEqual(y.shape, [timesteps.length, dim]);
      y.free();
      const bound = dtype === "f16" ? 2 ** -11 : 1e-6;
      for (const [i, expected] of timestepReference(timesteps, dim, flipSinToCos, freqShift, maxPeriod).entries()) {
        assert.ok(Math.abs(values[i] - expected) <= bound, `${dtype}, t ${timesteps[Math.floor(i / dim)]}, column ${i % dim}: ${values[i]}, expected ${expected}`);
      }
    }
  });
}

test("embeddings refuse what they cannot take", () => {
  const floats = upload(gpu, randomValues(4, 1), [4]);
  const ids = gpu.tensor(Uint32Array.of(0), [1]);
  assert.throws(() => embedding(floats, upload(gpu, randomValues(4, 1), [2, 2])), ShapeError);
  assert.throws(() => embedding(ids, [upload(gpu, randomValues(4, 1), [2, 2]), upload(gpu, randomValues(3, 1), [1, 3])]), ShapeError);
  assert.throws(() => paddedPositions(ids, 1), ShapeError);
  assert.throws(() => timestepEmbedding(ids, { dim: 8, flipSinToCos: true, freqShift: 0, dtype: "f32" }), ShapeError);
  assert.throws(() => timestepEmbedding(floats, { dim: 2, flipSinToCos: true, freqShift: 1, dtype: "f32" }), ShapeError);
});
