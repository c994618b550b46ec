import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { type AttentionVariant, accumulateCapture, crossAttention, crossAttentionVariants } from "../src/ops/attention.ts";
import type { Float } from "../src/ops/check.ts";
import { zeros } from "../src/ops/fill.ts";
import { deviceFacts } from "../src/ops/grid.ts";
import { type AttentionCase, crossAttentionCases, crossAttentionFewCases } from "./attention_cases.ts";
import { capturedSums, probabilities, weightedValues } from "./attention_reference.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const device = deviceFacts(gpu);
const plain = await testGpu({ without: ["subgroups", "shader-f16"] });

/** How the items of a batch share contexts, and what is captured: a number of token sets, or everything. */
interface Setting {
  contexts: number;
  contextOf?: readonly number[];
  sets: number | "all";
}

const indexOf = ({ contexts, contextOf }: Setting) => (item: number) => contextOf?.[item] ?? (contexts === 1 ? 0 : item);

/** q, k, v and set weights (means over some tokens, single tokens) of a case, rounded to the dtype. */
function inputs(size: AttentionCase, { contexts, sets }: Setting, dtype: Float) {
  const channels = size.heads * size.headSize;
  return {
    q: randomValues(size.batch * size.queries * channels, 1, dtype, size.amplitude ?? 2),
    k: randomValues(contexts * size.keys * channels, 2, dtype),
    v: randomValues(contexts * size.keys * channels, 3, dtype),
    weights: sets === "all" ? undefined : randomValues(contexts * sets * size.keys, 4).map((w) => Math.max(0, w)),
  };
}

async function run(on: Gpu, size: AttentionCase, setting: Setting, dtype: Float, variant?: AttentionVariant) {
  const { batch, heads, queries, keys, headSize } = size;
  const { contexts, contextOf, sets } = setting;
  const { q, k, v, weights } = inputs(size, setting, dtype);
  const result = on.scope("test", () => {
    const capture = sets === "all" ? ({ all: true } as const) : { weights: upload(on, weights!, [contexts, sets, keys]) };
    return crossAttention(
      upload(on, q, [batch, queries, heads * headSize], dtype),
      upload(on, k, [contexts, keys, heads * headSize], dtype),
      upload(on, v, [contexts, keys, heads * headSize], dtype),
      { heads, variant, contextOf: contextOf && on.tensor(Uint32Array.from(contextOf), [batch]), capture: sets === 0 ? undefined : capture },
    );
  });
  const out = await result.out.read();
  const captured = await result.captured?.read();
  result.out.free();
  result.captured?.free();
  return { out, captured };
}

async function compare(on: Gpu, size: AttentionCase, setting: Setting, dtype: Float, variant?: AttentionVariant): Promise<void> {
  const { q, k, v, weights } = inputs(size, setting, dtype);
  const contextOf = indexOf(setting);
  const p = (round: Round) => probabilities(size, q, k, round, contextOf);
  const { out, captured } = await run(on, size, setting, dtype, variant);
  assertMatches(out, (round) => weightedValues(size, p(round), v, round, contextOf), dtype, "cross attention");
  if (setting.sets === 0) {
    assert.equal(captured, undefined);
    return;
  }
  const sets = setting.sets === "all" ? size.keys : setting.sets;
  const used = weights ?? selectEach(size.keys, setting.contexts);
  assertMatches(captured!, (round) => capturedSums(size, p(round), used, sets, round, contextOf), "f32", "captured");
}

/** Set weights of which each selects one key. */
function selectEach(keys: number, contexts: number): Float32Array {
  return Float32Array.from({ length: contexts * keys * keys }, (_, i) => Number(i % keys === Math.floor(i / keys) % keys));
}

const nameOf = ({ batch, heads, queries, keys, headSize, amplitude }: AttentionCase) =>
  `${batch}x${heads}x${queries}x${keys}x${headSize}${amplitude ? ` amplitude ${amplitude}` : ""}`;

for (const dtype of testDtypes(gpu)) {
  for (const size of dtype === "f16" ? crossAttentionFewCases : crossAttentionCases) {
    for (const variant of crossAttentionVariants(size, device)) {
      test(`cross attention ${variant} ${dtype} ${nameOf(size)}`, async () => {
        const contextOf = Array.from({ length: size.batch }, (_, b) => (b % 3 === 0 ? 1 : 0));
        await compare(gpu, size, { contexts: 2, contextOf, sets: 3 }, dtype, variant);
      });
    }
  }
}

const small: AttentionCase = { batch: 3, heads: 4, queries: 37, keys: 30, headSize: 16 };
const contextOf = [1, 0, 1];

for (const variant of crossAttentionVariants(small, device)) {
  for (const sets of [0, 1, 12, 30, "all"] as const) {
    test(`cross attention ${variant} captures ${sets} sets`, () => compare(gpu, small, { contexts: 2, contextOf, sets }, "f32", variant));
  }

  test(`cross attention ${variant} without contextOf: one context for all, or one each`, async () => {
    for (const contexts of [1, 3]) await compare(gpu, { ...small, keys: 5 }, { contexts, sets: 2 }, "f32", variant);
  });

  test(`cross attention ${variant}: out is the same bits whatever is captured`, async () => {
    const { out } = await run(gpu, small, { contexts: 2, contextOf, sets: 0 }, "f32", variant);
    for (const sets of [1, 12, "all"] as const) assert.deepEqual((await run(gpu, small, { contexts: 2, contextOf, sets }, "f32", variant)).out, out);
  });

  test(`cross attention ${variant}: two runs give the same bits, whatever the batch`, async () => {
    for (const sets of [3, "all"] as const) {
      const setting = { contexts: 2, contextOf, sets };
      const all = await run(gpu, small, setting, "f32", variant);
      assert.deepEqual(await run(gpu, small, setting, "f32", variant), all);
      const first = await run(gpu, { ...small, batch: 1 }, { ...setting, contextOf: [1] }, "f32", variant);
      assert.deepEqual(first.out, all.out.slice(0, first.out.length));
      assert.deepEqual(first.captured, all.captured!.slice(0, first.captured!.length));
    }
  });

  test(`cross attention ${variant}: all probabilities of a query add up to 1`, async () => {
    const { captured } = await run(gpu, small, { contexts: 2, contextOf, sets: "all" }, "f32", variant);
    for (let b = 0; b < small.batch; b++) {
      for (let i = 0; i < small.queries; i++) {
        let sum = 0;
        for (let j = 0; j < small.keys; j++) sum += captured![(b * small.keys + j) * small.queries + i];
        assert.ok(Math.abs(sum - 1) < 1e-6, `item ${b}, query ${i}: ${sum}`);
      }
    }
  });

  // Not the tiles: 70,000 workgroups with barriers take a CPU device too long, and they fold their grid with the same lines.
  if (variant === "tiles") continue;
  test(`cross attention ${variant}: more workgroups than one grid dimension holds`, () =>
    compare(gpu, { batch: 70_000, heads: 1, queries: 1, keys: 5, headSize: 1 }, { contexts: 1, sets: 1 }, "f32", variant));
}

test("without subgroups and f16 the default variant agrees too", async () => {
  for (const size of crossAttentionFewCases) await compare(plain, size, { contexts: 1, sets: 3 }, "f32");
});

test("captured maps accumulate in order: splitting the batch gives the same bits", async () => {
  const [batch, sets, queries, contexts] = [7, 3, 50, 2];
  const values = randomValues(batch * sets * queries, 1);
  const itemWeights = randomValues(batch, 2);
  const contextOf = Uint32Array.from([0, 1, 1, 0, 1, 0, 0]);
  const accumulate = (sink: ReturnType<typeof zeros>, from: number, to: number) =>
    accumulateCapture(sink, upload(gpu, values.slice(from * sets * queries, to * sets * queries), [to - from, sets, queries]), {
      contextOf: gpu.tensor(contextOf.slice(from, to), [to - from]),
      weights: upload(gpu, itemWeights.slice(from, to), [to - from]),
    });
  const whole = zeros(gpu, [contexts, sets, queries]);
  accumulate(whole, 0, batch);
  const split = zeros(gpu, [contexts, sets, queries]);
  for (const [from, to] of [[0, 1], [1, 5], [5, 7]]) accumulate(split, from, to);
  const actual = await whole.read();
  assert.deepEqual(await split.read(), actual);
  assertMatches(
    actual,
    (round) => {
      const sums = new Float64Array(contexts * sets * queries);
      for (let b = 0; b < batch; b++) {
        for (let i = 0; i < sets * queries; i++) {
          const at = contextOf[b] * sets * queries + i;
          sums[at] = round(sums[at] + round(itemWeights[b] * values[b * sets * queries + i]));
        }
      }
      return sums;
    },
    "f32",
    "accumulated",
  );
});

test("accumulation without contextOf: one context for all, or one each", async () => {
  const values = Float32Array.from([1, 2, 3, 4]);
  const weights = upload(gpu, Float32Array.from([1, 10]), [2]);
  const captured = upload(gpu, values, [2, 1, 2]);
  const one = accumulateCapture(zeros(gpu, [1, 1, 2]), captured, { weights });
  const each = accumulateCapture(zeros(gpu, [2, 1, 2]), captured, { weights });
  assert.deepEqual([...(await one.read())], [31, 42]);
  assert.deepEqual([...(await each.read())], [1, 2, 30, 40]);
});

test("shapes that do not fit are refused", () => {
  const q = gpu.empty([3, 4, 6]);
  const k = gpu.empty([2, 5, 6]);
  assert.throws(() => crossAttention(q, k, k, { heads: 2 }), /2 contexts for 3 items need contextOf/);
  const contextOf = gpu.tensor(Uint32Array.of(0, 1, 1), [3]);
  assert.throws(() => crossAttention(q, k, k, { heads: 2, contextOf, capture: { weights: gpu.empty([2, 3, 4]) } }), ShapeError);
  assert.throws(() => crossAttention(q, k, gpu.empty([2, 4, 6]), { heads: 2, contextOf }), /v is \[2,4,6\], needs \[2,5,6\]/);
});
