import { type AttentionCase, attentionBench, crossAttentionBench } from "../shaders-test/attention_cases.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { openGpu } from "../src/gpu/open_node.ts";
import { accumulateCapture, attention, attentionDevice, attentionVariants, crossAttention, crossAttentionVariants, planAttention } from "../src/ops/attention.ts";
import { bytesOf } from "../src/ops/check.ts";
import { zeros } from "../src/ops/fill.ts";
import { type BenchCase, bench, benchMain, together } from "./harness.ts";

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
  return attentionBench.flatMap((size) => {
    const { q, k, v } = tensors(gpu, size, size.batch);
    const { flops } = planAttention(size, "naive");
    // The largest case in its default variant alone: the naive one would take minutes on a CPU device.
    const variants = attentionVariants(attentionDevice(gpu)).slice(0, flops > 5e9 ? 1 : undefined);
    return variants.map((variant) => ({
      name: nameOf(size),
      variant,
      flops,
      bytes: bytesOf(q, k, v, q),
      run: () => attention(q, k, v, { heads: size.heads, variant }),
    }));
  });
}

/** Without capture in every variant, then the default variant with more and more sets. */
function crossCases(gpu: Gpu, size: AttentionCase): BenchCase[] {
  const { q, k, v } = tensors(gpu, size, 1);
  const { heads, keys } = size;
  const shared = { name: nameOf(size), flops: planAttention(size, "naive").flops, bytes: bytesOf(q, k, v, q) };
  const variants = crossAttentionVariants(size, attentionDevice(gpu)).map((variant) => ({ ...shared, variant, run: () => crossAttention(q, k, v, { heads, variant }).out }));
  const captures = [1, 3, 12].map((sets) => {
    const weights = upload(gpu, randomValues(sets * keys, 4), [1, sets, keys]);
    return { ...shared, variant: `${sets} sets`, run: () => together(Object.values(crossAttention(q, k, v, { heads, capture: { weights } }))) };
  });
  return [...variants, ...captures, { ...shared, variant: "all", run: () => together(Object.values(crossAttention(q, k, v, { heads, capture: { all: true } }))) }];
}

/** What the sums over timesteps take: ten items of one phrase, three sets. */
function accumulationCase(gpu: Gpu): BenchCase {
  const [batch, sets, queries] = [10, 3, 4096];
  const captured = upload(gpu, randomValues(batch * sets * queries, 1), [batch, sets, queries]);
  const weights = upload(gpu, randomValues(batch, 2), [batch]);
  const sink = zeros(gpu, [1, sets, queries]);
  const run = () => (accumulateCapture(sink, captured, { weights }), together([]));
  return { name: "accumulate 10 x 3 sets x 4096", variant: "", flops: 2 * captured.size, bytes: bytesOf(captured), run };
}

await benchMain(selfCases);
await benchMain((gpu) => [...crossAttentionBench.flatMap((size) => crossCases(gpu, size)), accumulationCase(gpu)]);

console.log("cost of capture, in per cent of the same attention without it, by medians (by least times):");
const gpu = await openGpu();
for (const size of crossAttentionBench) {
  // The default variant comes first and is timed between its captures alone.
  const [plain, ...others] = crossCases(gpu, size);
  const results = await bench(gpu, [plain, ...others.filter(({ variant }) => /sets|all/.test(variant))]);
  const cost = (ms: number, plainMs: number) => (100 * (ms / plainMs - 1)).toFixed(1);
  const costs = results.slice(1).map((result) => `${result.variant} ${cost(result.medianMs, results[0].medianMs)} (${cost(result.leastMs, results[0].leastMs)})`);
  console.log(`${nameOf(size).padEnd(44)} ${costs.join(", ")}`);
}
gpu.close();
