import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { embedding, embeddingBackward } from "../src/ops/embed.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

/** torch.nn.Embedding's gradient of its table, in plain loops. */
function embeddingBackwardReference(ids: ArrayLike<number>, dy: ArrayLike<number>, vocabulary: number, round: Round): Float64Array {
  const channels = dy.length / ids.length;
  const dtable = new Float64Array(vocabulary * channels);
  for (let n = 0; n < ids.length; n++) {
    for (let c = 0; c < channels; c++) {
      if (ids[n] < vocabulary) dtable[ids[n] * channels + c] = round(dtable[ids[n] * channels + c] + dy[n * channels + c]);
    }
  }
  return dtable;
}

/** Ids in [0, vocabulary), few of them often. */
function someIds(count: number, vocabulary: number): Uint32Array {
  return Uint32Array.from(randomValues(count, 9), (value, i) => (i % 3 === 0 ? 0 : Math.floor(((value + 1) / 2) * vocabulary)));
}

test("the reference's gradient is the derivative of looking rows up", () => {
  const ids = [2, 0, 2, 1];
  const [table, dy] = [randomValues(6, 1), randomValues(8, 2)];
  const lookUp = (at: Float64Array) => ids.flatMap((id) => [at[2 * id], at[2 * id + 1]]);
  assertDerivative(lookUp, table, dy, embeddingBackwardReference(ids, dy, 3, Number), "table");
});

for (const dtype of testDtypes(gpu)) {
  for (const [shape, vocabulary, channels] of [[[1], 1, 1], [[2, 5], 101, 7], [[4, 77], 300, 16], [[32, 77], 30_522, 4]] as const) {
    test(`embedding backward ${dtype} of ${shape} ids among ${vocabulary}`, async () => {
      const count = shape.reduce((a: number, b: number) => a * b, 1);
      const ids = someIds(count, vocabulary);
      const dy = randomValues(count * channels, 2, dtype);
      const [idTensor, gradient] = [gpu.tensor(ids, shape), upload(gpu, dy, [...shape, channels], dtype)];
      const table = upload(gpu, randomValues(vocabulary * channels, 1), [vocabulary, channels]);
      const [dtable] = await tapeGradients(gpu, [table], () => embedding(idTensor, table, { dtype }), gradient);
      assertMatches(dtable, (round) => embeddingBackwardReference(ids, dy, vocabulary, round), "f32", "dtable");
      for (const tensor of [idTensor, gradient, table]) tensor.free();
    });
  }
}

test("each chunk of a table has its own gradient, and frozen ones have none", async () => {
  const [vocabulary, channels] = [101, 3];
  const ids = someIds(40, vocabulary);
  ids[7] = 2 ** 32 - 1;
  ids[8] = vocabulary;
  const dy = randomValues(40 * channels, 2);
  const [idTensor, gradient] = [gpu.tensor(ids, [40]), upload(gpu, dy, [40, channels])];
  const chunks = [64, 1, 36].map((rows) => upload(gpu, randomValues(rows * channels, 1), [rows, channels]));
  const whole = embeddingBackwardReference(ids, dy, vocabulary, Math.fround);
  const gradients = await tapeGradients(gpu, chunks, () => embedding(idTensor, chunks), gradient);
  assert.deepEqual(gradients.flatMap((values) => [...values]), [...whole]);
  const [last] = await tapeGradients(gpu, [chunks[2]], () => embedding(idTensor, chunks), gradient);
  assert.deepEqual([...last], [...whole.subarray(65 * channels)]);
  const [none, one] = embeddingBackward(gradient, idTensor, [64, 37], [false, true]);
  assert.equal(none, undefined);
  assert.deepEqual(one?.shape, [37, channels]);
  assert.throws(() => embeddingBackward(gradient, gpu.tensor(ids.slice(1), [39]), [101], [true]), ShapeError);
});
