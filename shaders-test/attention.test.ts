import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { type AttentionVariant, attention, attentionVariants, crossAttentionVariants, planAttention } from "../src/ops/attention.ts";
import type { Float } from "../src/ops/check.ts";
import { deviceFacts } from "../src/ops/grid.ts";
import { type AttentionCase, attentionCases, attentionFewCases } from "./attention_cases.ts";
import { type Visible, probabilities, weightedValues } from "./attention_reference.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const device = deviceFacts(gpu);
const plain = await testGpu({ without: ["subgroups", "shader-f16"] });

const own = (item: number) => item;

/** q, k and v of a case, rounded to the dtype. */
function inputs(size: AttentionCase, dtype: Float) {
  const channels = size.heads * size.headSize;
  return {
    q: randomValues(size.batch * size.queries * channels, 1, dtype, size.amplitude ?? 2),
    k: randomValues(size.batch * size.keys * channels, 2, dtype),
    v: randomValues(size.batch * size.keys * channels, 3, dtype),
  };
}

async function run(on: Gpu, size: AttentionCase, dtype: Float, variant: AttentionVariant | undefined, mask?: Uint32Array): Promise<Float32Array> {
  const { batch, heads, queries, keys, headSize, causal } = size;
  const { q, k, v } = inputs(size, dtype);
  const out = on.scope("test", () =>
    attention(
      upload(on, q, [batch, queries, heads * headSize], dtype),
      upload(on, k, [batch, keys, heads * headSize], dtype),
      upload(on, v, [batch, keys, heads * headSize], dtype),
      { heads, causal, variant, keyMask: mask && on.tensor(mask, [batch, keys]) },
    ),
  );
  const values = await out.read();
  out.free();
  return values;
}

function expected(size: AttentionCase, dtype: Float, visible: Visible = () => true) {
  const { q, k, v } = inputs(size, dtype);
  const seen: Visible = (b, i, j) => visible(b, i, j) && !(size.causal && j > i);
  return (round: Round) => weightedValues(size, probabilities(size, q, k, round, own, seen), v, round, own);
}

const nameOf = ({ batch, heads, queries, keys, headSize, amplitude, causal }: AttentionCase) =>
  `${batch}x${heads}x${queries}x${keys}x${headSize}${amplitude ? ` amplitude ${amplitude}` : ""}${causal ? " causal" : ""}`;

for (const dtype of testDtypes(gpu)) {
  for (const size of dtype === "f16" ? attentionFewCases : attentionCases) {
    const reference = expected(size, dtype);
    for (const variant of attentionVariants(device)) {
      test(`attention ${variant} ${dtype} ${nameOf(size)}`, async () => {
        assertMatches(await run(gpu, size, dtype, variant), reference, dtype, "attention");
      });
    }
  }
}

for (const causal of [false, true]) {
  const size: AttentionCase = { batch: 3, heads: 2, queries: 41, keys: 41, headSize: 5, causal };
  for (const variant of attentionVariants(device)) {
    test(`attention ${variant} with masked keys${causal ? ", causal" : ""}: padded ends, holes, no key at all`, async () => {
      const mask = new Uint32Array(size.batch * size.keys);
      for (let j = 0; j < 23; j++) mask[j] = 1;
      for (let j = 0; j < size.keys; j += 3) mask[size.keys + j] = 1;
      const visible: Visible = (b, _, j) => mask[b * size.keys + j] === 1;
      assertMatches(await run(gpu, size, "f32", variant, mask), expected(size, "f32", visible), "f32", "masked attention");
    });
  }
}

test("without subgroups and f16 the default variant agrees too", async () => {
  for (const size of attentionFewCases) assertMatches(await run(plain, size, "f32", undefined), expected(size, "f32"), "f32", nameOf(size));
});

test("scores of +-80 with one dominating key give that key's values", async () => {
  const q = new Float32Array(64);
  const k = new Float32Array(320);
  for (let i = 0; i < 8; i++) q[i * 8 + i] = 80 * Math.sqrt(8);
  for (let j = 0; j < 40; j++) k[j * 8 + (j % 8)] = j < 32 ? -1 : 1;
  const v = randomValues(320, 3);
  for (const variant of attentionVariants(device)) {
    const out = attention(upload(gpu, q, [1, 8, 8]), upload(gpu, k, [1, 40, 8]), upload(gpu, v, [1, 40, 8]), { heads: 1, variant });
    const actual = await out.read();
    for (let i = 0; i < 64; i++) assert.ok(Math.abs(actual[i] - v[(32 + Math.floor(i / 8)) * 8 + (i % 8)]) < 1e-6, `${variant}: element ${i}`);
  }
});

test("two runs give the same bits, and an item's result does not depend on the batch", async () => {
  const size: AttentionCase = { batch: 3, heads: 2, queries: 50, keys: 61, headSize: 40 };
  for (const variant of attentionVariants(device)) {
    const all = await run(gpu, size, "f32", variant);
    assert.deepEqual(await run(gpu, size, "f32", variant), all, variant);
    const first = await run(gpu, { ...size, batch: 1 }, "f32", variant);
    assert.deepEqual(first, all.slice(0, first.length), variant);
  }
});

test("more workgroups than one grid dimension holds", async () => {
  const size: AttentionCase = { batch: 70_000, heads: 1, queries: 1, keys: 2, headSize: 1 };
  // Not the tiles: 70,000 workgroups with barriers take a CPU device too long, and they fold their grid with the same lines.
  for (const variant of attentionVariants(device).filter((name) => name !== "tiles")) {
    assertMatches(await run(gpu, size, "f32", variant), expected(size, "f32"), "f32", variant);
  }
});

test("shapes that do not fit are refused", () => {
  const q = gpu.empty([1, 4, 6]);
  const k = gpu.empty([1, 5, 6]);
  assert.throws(() => attention(q, k, k, { heads: 4 }), ShapeError);
  assert.throws(() => attention(q, k, k, { heads: 2, causal: true }), /causal needs as many queries as keys/);
  assert.throws(() => attention(q, gpu.empty([1, 5, 8]), k, { heads: 2 }), /attention: k is \[1,5,8\], needs \[1,5,6\]/);
});

test("the default variant follows from the device and the shape", () => {
  const lavapipe = { software: true, subgroupLanes: 8 };
  const swiftShader = { software: true, subgroupLanes: 4 };
  const hardware = { software: false, subgroupLanes: 32 };
  assert.deepEqual([lavapipe, swiftShader, hardware].map((device) => attentionVariants(device)[0]), ["lanes", "tiles", "tiles"]);
  const shape = { batch: 1, heads: 8, queries: 64, keys: 77, headSize: 40 };
  const choices = [77, 81, 257].map((keys) => crossAttentionVariants({ ...shape, keys }, lavapipe)[0]);
  assert.deepEqual(choices, ["lanes", "tiles", "naive"]);
});

test("wide heads are cut into slices that hold all channels", () => {
  for (const headSize of [1, 40, 80, 160, 161, 256, 300, 512, 1000]) {
    const shape = { batch: 1, heads: 1, queries: 1, keys: 1, headSize };
    const lanes = planAttention(shape, "lanes");
    const tiles = planAttention(shape, "tiles");
    const tileChannels = 8 * tiles.prelude.COLS! * tiles.prelude.CHUNKS!;
    assert.equal(lanes.grid, Math.ceil(headSize / lanes.prelude.CHANNELS!), `lanes, d ${headSize}`);
    assert.equal(tiles.grid, Math.ceil(headSize / tileChannels), `tiles, d ${headSize}`);
    assert.ok(lanes.prelude.CHANNELS! <= 160 && tiles.prelude.COLS! * tiles.prelude.CHUNKS! <= 32);
  }
});
