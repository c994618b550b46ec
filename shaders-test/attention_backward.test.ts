import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { attention, attentionVariants, crossAttention, crossAttentionVariants } from "../src/ops/attention.ts";
import { type AttentionBackwardVariant, type AttentionSaved, attentionBackward, attentionBackwardVariants } from "../src/ops/attention_backward.ts";
import type { Float } from "../src/ops/check.ts";
import { deviceFacts } from "../src/ops/grid.ts";
import { cast } from "../src/ops/pointwise.ts";
import { Tape } from "../src/tape.ts";
import type { Tensor } from "../src/tensor.ts";
import { attentionBackwardReference } from "./attention_backward_reference.ts";
import { type AttentionCase, attentionBackwardCases, attentionBackwardHalfCases, crossAttentionBackwardCases } from "./attention_cases.ts";
import { type Visible, probabilities, rowStatistics, weightedValues } from "./attention_reference.ts";
import { assertDerivative, tapeGradients } from "./gradients.ts";
import { assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const plainGpu = await testGpu({ without: ["subgroups", "shader-f16"] });
const exact = (value: number) => value;
const all: Visible = () => true;

/** Keys and values that items share: as many as `contexts`, item b uses the one that `of` names. */
interface Sharing {
  contexts: number;
  of: (item: number) => number;
}

const own = (size: AttentionCase): Sharing => ({ contexts: size.batch, of: (item) => item });

/** q, k, v and the gradient of the output, rounded to the dtype. */
function given({ batch, heads, queries, keys, headSize, amplitude = 2 }: AttentionCase, contexts: number, dtype: Float) {
  const channels = heads * headSize;
  return {
    q: randomValues(batch * queries * channels, 1, dtype, amplitude),
    k: randomValues(contexts * keys * channels, 2, dtype),
    v: randomValues(contexts * keys * channels, 3, dtype),
    dout: randomValues(batch * queries * channels, 4, dtype),
  };
}

const causalOr = (size: AttentionCase, visible: Visible): Visible => (b, i, j) => visible(b, i, j) && !(size.causal && j > i);

const nameOf = ({ batch, heads, queries, keys, headSize, amplitude, causal }: AttentionCase) =>
  `${batch}x${heads}x${queries}x${keys}x${headSize}${amplitude ? ` amplitude ${amplitude}` : ""}${causal ? " causal" : ""}`;

function place(on: Gpu, size: AttentionCase, contexts: number, dtype: Float) {
  const { batch, heads, queries, keys, headSize } = size;
  const values = given(size, contexts, dtype);
  const [queryShape, keyShape] = [[batch, queries, heads * headSize], [contexts, keys, heads * headSize]];
  const [q, dout] = [upload(on, values.q, queryShape, dtype), upload(on, values.dout, queryShape, dtype)];
  const [k, v] = [upload(on, values.k, keyShape, dtype), upload(on, values.v, keyShape, dtype)];
  return { values, tensors: { q, k, v }, dout };
}

/** The same with what a forward pass in f32 saves. */
function placeSaved(on: Gpu, size: AttentionCase, sharing: Sharing, dtype: Float, visible: Visible) {
  const placed = place(on, size, sharing.contexts, dtype);
  const { q, k, v } = placed.values;
  const result = weightedValues(size, probabilities(size, q, k, Math.fround, sharing.of, visible), v, Math.fround, sharing.of);
  const out = cast(on.tensor(Float32Array.from(result), placed.tensors.q.shape), dtype);
  const statistics = on.tensor(rowStatistics(size, q, k, sharing.of, visible), [2, size.batch, size.heads, size.queries]);
  return { ...placed, saved: { ...placed.tensors, out, statistics } satisfies AttentionSaved };
}

/** The kernels' gradients beside the reference's. */
async function checkCase(on: Gpu, size: AttentionCase, dtype: Float, variant?: AttentionBackwardVariant, sharing = own(size), mask?: Uint32Array) {
  const { batch, keys, heads, causal } = size;
  const visible = causalOr(size, mask ? (b, _, j) => mask[b * keys + j] === 1 : all);
  const { values, saved, dout } = placeSaved(on, size, sharing, dtype, visible);
  const keyMask = mask && on.tensor(mask, [batch, keys]);
  const contextOf = sharing.contexts === 1 || sharing.contexts === batch ? undefined : on.tensor(Uint32Array.from({ length: batch }, (_, b) => sharing.of(b)), [batch]);
  const gradients = on.scope("test", () => {
    const { q, k, v } = attentionBackward(dout, { ...saved, keyMask, contextOf }, { q: true, k: true, v: true }, { heads, causal, variant });
    return [q, k, v].map((gradient) => on.keep(gradient!));
  });
  for (const [i, name] of (["dq", "dk", "dv"] as const).entries()) {
    assertMatches(await gradients[i].read(), (round) => attentionBackwardReference(size, values, values.dout, round, sharing.of, visible)[name], dtype, name);
  }
  for (const tensor of [...gradients, ...Object.values(saved), dout, keyMask, contextOf]) tensor?.free();
}

test("the reference's gradients are the derivatives of its attention", () => {
  const size: AttentionCase = { batch: 3, heads: 2, queries: 4, keys: 4, headSize: 3, causal: true };
  const mask = [1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1];
  const settings: [string, Sharing, Visible][] = [
    ["causal", own(size), causalOr(size, all)],
    ["masked, one item wholly", own(size), (b, _, j) => mask[b * 4 + j] === 1],
    ["shared contexts", { contexts: 2, of: (item) => item % 2 }, all],
  ];
  for (const [name, { contexts, of }, visible] of settings) {
    const { q, k, v, dout } = given(size, contexts, "f32");
    const { dq, dk, dv } = attentionBackwardReference(size, { q, k, v }, dout, exact, of, visible);
    const forward = (q: ArrayLike<number>, k: ArrayLike<number>, v: ArrayLike<number>) => weightedValues(size, probabilities(size, q, k, exact, of, visible), v, exact, of);
    assertDerivative((at) => forward(at, k, v), q, dout, dq, `${name}, q`);
    assertDerivative((at) => forward(q, at, v), k, dout, dk, `${name}, k`);
    assertDerivative((at) => forward(q, k, at), v, dout, dv, `${name}, v`);
  }
});

for (const dtype of testDtypes(gpu)) {
  for (const size of dtype === "f16" ? attentionBackwardHalfCases : attentionBackwardCases) {
    for (const variant of attentionBackwardVariants(deviceFacts(gpu))) {
      test(`attention backward ${variant} ${dtype} ${nameOf(size)}`, () => checkCase(gpu, size, dtype, variant));
    }
  }
}

for (const variant of attentionBackwardVariants(deviceFacts(gpu))) {
  for (const causal of [false, true]) {
    test(`attention backward ${variant} with masked keys${causal ? ", causal" : ""}: padded ends, holes, no key at all`, () => {
      const size: AttentionCase = { batch: 3, heads: 2, queries: 41, keys: 41, headSize: 16, causal };
      const mask = new Uint32Array(size.batch * size.keys);
      for (let j = 0; j < 23; j++) mask[j] = 1;
      for (let j = 0; j < size.keys; j += 3) mask[size.keys + j] = 1;
      return checkCase(gpu, size, "f32", variant, own(size), mask);
    });
  }

  for (const size of crossAttentionBackwardCases) {
    test(`cross-attention backward ${variant} ${nameOf(size)}: contexts of their own, one for all, shared by some`, async () => {
      await checkCase(gpu, size, "f32", variant);
      await checkCase(gpu, size, "f32", variant, { contexts: 1, of: () => 0 });
      await checkCase(gpu, size, "f32", variant, { contexts: size.batch + 2, of: (item) => (item % 2 ? 3 : 1) });
    });
  }

  test(`attention backward ${variant}: two runs give the same bits, and an item's gradients do not depend on the batch`, async () => {
    const size: AttentionCase = { batch: 3, heads: 2, queries: 50, keys: 61, headSize: 40 };
    const gradients = async (of: AttentionCase) => {
      const { saved, dout } = placeSaved(gpu, of, own(of), "f32", all);
      const { q, k, v } = attentionBackward(dout, saved, { q: true, k: true, v: true }, { heads: of.heads, variant });
      return Promise.all([q!.read(), k!.read(), v!.read()]);
    };
    const whole = await gradients(size);
    assert.deepEqual(await gradients(size), whole);
    for (const [i, first] of (await gradients({ ...size, batch: 1 })).entries()) assert.deepEqual(first, whole[i].slice(0, first.length));
  });
}

test("without subgroups and f16 the default variant agrees too", async () => {
  for (const size of attentionBackwardCases.slice(0, 4)) await checkCase(plainGpu, size, "f32");
});

test("more workgroups than one grid dimension holds", () => checkCase(gpu, { batch: 70_000, heads: 1, queries: 1, keys: 2, headSize: 1 }, "f32"));

/** The gradients of attentions on a tape, each variant of which saves the statistics itself, beside the reference's. */
async function checkTape(size: AttentionCase, sharing: Sharing, visible: Visible, op: (q: Tensor, k: Tensor, v: Tensor) => Tensor) {
  const { values, tensors, dout } = place(gpu, size, sharing.contexts, "f32");
  const { q, k, v } = tensors;
  const gradients = await tapeGradients(gpu, [q, k, v], () => op(q, k, v), dout);
  for (const [i, name] of (["dq", "dk", "dv"] as const).entries()) {
    assertMatches(gradients[i], (round) => attentionBackwardReference(size, values, values.dout, round, sharing.of, visible)[name], "f32", name);
  }
}

for (const variant of attentionVariants(deviceFacts(gpu))) {
  test(`gradients flow through attention ${variant} on a tape: causal and masked, heads in slices`, async () => {
    const causal: AttentionCase = { batch: 2, heads: 2, queries: 9, keys: 9, headSize: 5, causal: true };
    const keyMask = gpu.tensor(Uint32Array.from({ length: 18 }, (_, i) => (i % 9 < 6 ? 1 : 0)), [2, 9]);
    await checkTape(causal, own(causal), causalOr(causal, (_, __, j) => j < 6), (q, k, v) => attention(q, k, v, { heads: 2, causal: true, keyMask, variant }));
    const wide: AttentionCase = { batch: 1, heads: 2, queries: 3, keys: 4, headSize: 264 };
    await checkTape(wide, own(wide), all, (q, k, v) => attention(q, k, v, { heads: 2, variant }));
  });
}

const shared: AttentionCase = { batch: 5, heads: 2, queries: 7, keys: 9, headSize: 4 };
for (const variant of crossAttentionVariants(shared, deviceFacts(gpu))) {
  test(`gradients flow through cross-attention ${variant} with shared contexts on a tape`, () => {
    const of = (item: number) => [1, 0, 1, 1, 0][item];
    const contextOf = gpu.tensor(Uint32Array.from({ length: 5 }, (_, b) => of(b)), [5]);
    return checkTape(shared, { contexts: 2, of }, all, (q, k, v) => crossAttention(q, k, v, { heads: 2, contextOf, variant }).out);
  });
}

test("captured probabilities have no gradient: a tape refuses them, unless nothing wants one", () => {
  const { q, k, v } = place(gpu, { batch: 1, heads: 1, queries: 3, keys: 4, headSize: 2 }, 1, "f32").tensors;
  const capturing = () => crossAttention(q, k, v, { heads: 1, capture: { all: true } });
  const tape = new Tape(gpu);
  tape.run(capturing);
  tape.watch([k]);
  assert.throws(() => tape.run(capturing), /crossAttention with capture: has no backward pass/);
  tape.free();
});

test("only wanted gradients are computed, and tensors of another shape are refused", () => {
  const size: AttentionCase = { batch: 2, heads: 1, queries: 3, keys: 3, headSize: 2 };
  const { saved, dout } = placeSaved(gpu, size, own(size), "f32", all);
  const every = { q: true, k: true, v: true };
  const wanted = (names: string[]) => {
    const wants = { q: names.includes("q"), k: names.includes("k"), v: names.includes("v") };
    return Object.entries(attentionBackward(dout, saved, wants, { heads: 1 })).filter(([, gradient]) => gradient).map(([name]) => name);
  };
  for (const names of [["q"], ["k"], ["v"], ["k", "v"], []]) assert.deepEqual(wanted(names), names);
  assert.throws(() => attentionBackward(gpu.empty([1, 3, 2]), saved, every, { heads: 1 }), ShapeError);
  assert.throws(() => attentionBackward(dout, { ...saved, statistics: gpu.empty([2, 2, 3]) }, every, { heads: 1 }), /statistics is \[2,2,3\]/);
  const choices = { keyMask: gpu.empty([2, 3], "u32"), contextOf: gpu.empty([2], "u32") };
  assert.throws(() => attentionBackward(dout, { ...saved, ...choices }, every, { heads: 1 }), /not both/);
});
