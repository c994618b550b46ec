import { type AttentionCase, attentionBench, crossAttentionBench } from "../shaders-test/attention_cases.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { accumulateCapture, attention, attentionVariants, crossAttention, crossAttentionVariants, planAttention } from "../src/ops/attention.ts";
import { type AttentionSaved, attentionBackward, attentionBackwardVariants } from "../src/ops/attention_backward.ts";
import { bytesOf } from "../src/ops/check.ts";
import { full, zeros } from "../src/ops/fill.ts";
import { deviceFacts } from "../src/ops/grid.ts";
import type { Tensor } from "../src/tensor.ts";
import { type BenchCase, type BenchResult, benchMain, shapesOf, together } from "./harness.ts";

/** The family's own, or those that were asked for. */
function sizesOf(own: readonly AttentionCase[]): AttentionCase[] {
  const shapes = own.map(({ batch, heads, queries, keys, headSize }) => [batch, heads, queries, keys, headSize] as const);
  return shapesOf(["batch", "heads", "queries", "keys", "head size"], shapes).map(([batch, heads, queries, keys, headSize]) => ({ batch, heads, queries, keys, headSize }));
}

const nameOf = ({ batch, heads, queries, keys, headSize }: AttentionCase) => `${batch} x ${heads} heads, ${queries} x ${keys}, d ${headSize}`;

function tensors(gpu: Gpu, { batch, heads, queries, keys, headSize }: AttentionCase, contexts: number) {
  const channels = heads * headSize;
  return {
    q: upload(gpu, randomValues(batch * queries * channels, 1), [batch, queries, channels]),
    k: upload(gpu, randomValues(contexts * keys * channels, 2), [contexts, keys, channels]),
    v: upload(gpu, randomValues(contexts * keys * channels, 3), [contexts, keys, channels]),
  };
}

function selfCases(gpu: Gpu): BenchCase[] {
  return sizesOf(attentionBench).flatMap((size) => {
    const { q, k, v } = tensors(gpu, size, size.batch);
    const { flops } = planAttention(size, "naive");
    // The largest case in its default variant alone: the naive one would take minutes on a CPU device.
    const variants = attentionVariants(deviceFacts(gpu)).slice(0, flops > 5e9 ? 1 : undefined);
    return variants.map((variant) => ({
      name: nameOf(size),
      variant,
      flops,
      bytes: bytesOf(q, k, v, q),
      run: () => attention(q, k, v, { heads: size.heads, variant }),
    }));
  });
}

function crossTensors(gpu: Gpu, size: AttentionCase) {
  const { q, k, v } = tensors(gpu, size, 1);
  return { q, k, v, shared: { name: nameOf(size), flops: planAttention(size, "naive").flops, bytes: bytesOf(q, k, v, q) } };
}

/** Without capture, in every variant. */
function crossCases(gpu: Gpu, size: AttentionCase): BenchCase[] {
  const { q, k, v, shared } = crossTensors(gpu, size);
  return crossAttentionVariants(size, deviceFacts(gpu)).map((variant) => ({ ...shared, variant, run: () => crossAttention(q, k, v, { heads: size.heads, variant }).out }));
}

const withoutCapture = "no capture";

/** The default variant without capture, then with more and more sets. */
function captureCases(gpu: Gpu, size: AttentionCase): BenchCase[] {
  const { q, k, v, shared } = crossTensors(gpu, size);
  const { heads, keys } = size;
  const captures = [1, 3, 12].map((sets) => {
    const weights = upload(gpu, randomValues(sets * keys, 4), [1, sets, keys]);
    return { ...shared, variant: `${sets} sets`, run: () => together(Object.values(crossAttention(q, k, v, { heads, capture: { weights } }))) };
  });
  return [
    { ...shared, variant: withoutCapture, run: () => crossAttention(q, k, v, { heads }).out },
    ...captures,
    { ...shared, variant: "all", run: () => together(Object.values(crossAttention(q, k, v, { heads, capture: { all: true } }))) },
  ];
}

const none = { q: false, k: false, v: false };

/** The gradients beside the forward pass, of 2 products of queries with keys: dq is 3, dk and dv are 4. */
function backwardCases(gpu: Gpu, size: AttentionCase): BenchCase[] {
  const { batch, heads, queries } = size;
  const { q, k, v } = tensors(gpu, size, batch);
  const dout = upload(gpu, randomValues(q.size, 5), q.shape);
  // Any numbers will do that stay finite.
  const saved: AttentionSaved = { q, k, v, out: dout, statistics: full(gpu, [2, batch, heads, queries], 1e-3) };
  const { flops } = planAttention(size, "naive");
  const shared = { name: nameOf(size), bytes: bytesOf(q, k, v, q) };
  const variants = attentionBackwardVariants(deviceFacts(gpu)).slice(0, flops > 5e8 ? 1 : undefined);
  return [
    { ...shared, variant: "forward", flops, run: () => attention(q, k, v, { heads }) },
    ...variants.flatMap((variant) => [
      { ...shared, variant: `dq ${variant}`, flops: 1.5 * flops, run: () => together(Object.values(attentionBackward(dout, saved, { ...none, q: true }, { heads, variant }))) },
      { ...shared, variant: `dk and dv ${variant}`, flops: 2 * flops, run: () => together(Object.values(attentionBackward(dout, saved, { ...none, k: true, v: true }, { heads, variant }))) },
    ]),
  ];
}

/** What the sums over timesteps take: ten items of one phrase, three sets. */
function accumulationCase(gpu: Gpu): BenchCase {
  const [batch, sets, queries] = [10, 3, 4096];
  const captured = upload(gpu, randomValues(batch * sets * queries, 1), [batch, sets, queries]);
  const weights = upload(gpu, randomValues(batch, 2), [batch]);
  const sink = zeros(gpu, [1, sets, queries]);
  const accumulate = (into: Tensor) => (accumulateCapture(into, captured, { weights }), into);
  return {
    name: "accumulate 10 x 3 sets x 4096",
    variant: "",
    flops: 2 * captured.size,
    bytes: bytesOf(captured),
    run: () => (accumulate(sink), together([])),
    runAfresh: () => accumulate(zeros(gpu, sink.shape)),
  };
}

function printCaptureCosts(results: readonly BenchResult[], print: (line: string) => void): void {
  print("cost of capture, in per cent of the same attention without it, by medians (by least times):");
  const cost = (ms: number, plainMs: number) => (100 * (ms / plainMs - 1)).toFixed(1);
  for (const plain of results.filter(({ variant }) => variant === withoutCapture)) {
    const captures = results.filter(({ name, variant }) => name === plain.name && variant !== withoutCapture);
    print(`${plain.name.padEnd(44)} ${captures.map(({ variant, medianMs, leastMs }) => `${variant} ${cost(medianMs, plain.medianMs)} (${cost(leastMs, plain.leastMs)})`).join(", ")}`);
  }
}

await benchMain(selfCases);
await benchMain((gpu) => [...sizesOf(crossAttentionBench).flatMap((size) => crossCases(gpu, size)), accumulationCase(gpu)]);
await benchMain((gpu) => sizesOf(crossAttentionBench).flatMap((size) => captureCases(gpu, size)), printCaptureCosts);
await benchMain((gpu) => sizesOf([...attentionBench.slice(1), ...crossAttentionBench.slice(-2)]).flatMap((size) => backwardCases(gpu, size)));
