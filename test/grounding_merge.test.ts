import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type BiasMeans, activationMap, mergeBiases, mergeMeans } from "../src/grounding/bias_merging.ts";
import { normalised } from "../src/grounding/maps.ts";
import { type LayerMaps, type MergeKind, biasProduct, mergeMaps, upsampledMean } from "../src/ops/grounding.ts";
import { randomValues, testGpu, upload } from "../shaders-test/harness.ts";
import { readGolden } from "./golden.ts";
import { needsShared } from "./shared.ts";

const gpu = await testGpu();
const side = 64;
const kinds: readonly MergeKind[] = ["mixture", "linear", "quadratic"];

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number, what: string) {
  const difference = largestDifference(actual, expected);
  assert.ok(difference <= bound, `${what} differs by ${difference}, more than ${bound}`);
}

describe("merging the means of the goldens", () => {
  test("synthetic maps", needsShared("goldens/maps.safetensors"), async () => {
    const { tensors, metadata } = await readGolden("goldens/maps.safetensors");
    const cases = JSON.parse(metadata.cases) as { ssim_u8: number }[];
    for (const [i, { ssim_u8: ssim }] of cases.entries()) {
      const [a, b] = ["a", "b"].map((name) => gpu.tensor(tensors.get(`${i}.${name}`)!.data, [side ** 2]));
      for (const kind of kinds) {
        const merged = mergeMeans({ comb: a, mult: b, img: a, txt: b }, { side, kind, reading: "paper" });
        assertNear(await merged.ssim.read(), [ssim], 1e-6, `${i}: SSIM`);
        assertNear(await merged.map.read(), tensors.get(`${i}.${kind}`)!.data, 1e-6, `${i}: ${kind}`);
      }
    }
  });

  test("grounding, as the paper reads", needsShared("goldens/ground.safetensors"), async () => {
    const { tensors, metadata } = await readGolden("goldens/ground.safetensors");
    const cases = JSON.parse(metadata.cases) as { ssim: number }[];
    for (const [i, { ssim }] of cases.entries()) {
      for (const kind of kinds) {
        const merged = mergeMeans(meansOf(tensors, i), { side, kind, reading: "paper" });
        assertNear(await merged.ssim.read(), [ssim], 1e-6, `${i}: SSIM`);
        assertNear(await merged.map.read(), tensors.get(`${i}.paper.${kind}`)!.data, 1e-6, `${i}: ${kind}`);
      }
    }
  });

  test("grounding, as the published code computes", needsShared("goldens/ground.safetensors"), async () => {
    const { tensors, metadata } = await readGolden("goldens/ground.safetensors");
    const cases = JSON.parse(metadata.cases) as { ssim_compat: number; token_indices: number[]; first_piece_indices: number[] }[];
    for (const [i, golden] of cases.entries()) {
      const compat = (name: string) => tensors.get(`${i}.compat.${name}`)!.data;
      const [comb, mult] = ["activation", "merged_biases"].map((name) => gpu.tensor(compat(name), [side ** 2]));
      const map = mergeMaps(comb, mult, gpu.tensor(Float32Array.of(golden.ssim_compat), []), { kind: "mixture", rounding: "f16" });
      assertNear(await map.read(), compat("map"), 2 ** -10, `${i}: the merge alone`);
      // The stored means are over all word pieces; compat takes first pieces, which are all of them in some phrases.
      if (golden.token_indices.join() !== golden.first_piece_indices.join()) continue;
      const merged = mergeMeans(meansOf(tensors, i), { side, kind: "mixture", reading: "compat" });
      assertNear(await merged.ssim.read(), [golden.ssim_compat], 1e-6, `${i}: SSIM`);
      assertNear(await merged.comb.read(), compat("activation"), 2 ** -11, `${i}: activation`);
      assertNear(await merged.mult.read(), compat("merged_biases"), 1.01 / 255, `${i}: merged biases`); // one grey level
      assertNear(await merged.map.read(), compat("map"), 2 ** -10, `${i}: map`);
    }
  });

  function meansOf(tensors: Awaited<ReturnType<typeof readGolden>>["tensors"], i: number): BiasMeans {
    const [comb, img, txt, mult] = ["comb", "img", "txt", "mult"].map((name) => gpu.tensor(tensors.get(`${i}.paper.P_${name}`)!.data, [side ** 2]));
    return { comb, img, txt, mult };
  }
});

describe("from captured layers", () => {
  const phrases = 2;
  const timesteps = 3;
  const captured = (seed: number): LayerMaps[] =>
    [16, 8, 4].map((native, l) => ({ side: native, maps: upload(gpu, randomValues(phrases * timesteps * native ** 2, seed + l).map(Math.abs), [phrases, timesteps, native ** 2]) }));
  const layers = { comb: captured(1), img: captured(11), txt: captured(21), side: 16, combWeights: gpu.tensor(Float32Array.of(0, 1, 1), [timesteps]) };

  for (const reading of ["paper", "compat"] as const) {
    test(`every phrase of a batch has the map that it has alone, ${reading}`, async () => {
      const merged = mergeBiases(layers, { kind: "mixture", reading });
      assert.deepEqual([merged.map.shape, merged.s.shape], [[phrases, 256], [phrases]]);
      const [maps, s] = [await merged.map.read(), await merged.s.read()];
      const means = await Promise.all([
        upsampledMean(layers.comb, { side: 16, timestepWeights: layers.combWeights }).read(),
        upsampledMean(layers.img, { side: 16 }).read(),
        upsampledMean(layers.txt, { side: 16 }).read(),
        biasProduct(layers.img, layers.txt, { side: 16 }).read(),
      ]);
      for (let p = 0; p < phrases; p++) {
        const [comb, img, txt, mult] = means.map((mean) => gpu.tensor(mean.slice(256 * p, 256 * (p + 1)), [256]));
        const alone = mergeMeans({ comb, img, txt, mult }, { side: 16, kind: "mixture", reading });
        assert.deepEqual(await alone.map.read(), maps.subarray(256 * p, 256 * (p + 1)));
        assert.deepEqual([...(await alone.s.read())], [s[p]]);
      }
    });
  }

  test("without merging, the map is the normalised mean", async () => {
    const map = await activationMap(layers.comb, { side: 16, reading: "paper", timestepWeights: layers.combWeights }).read();
    const mean = await upsampledMean(layers.comb, { side: 16, timestepWeights: layers.combWeights }).read();
    assertNear(map, [...normalised(mean.subarray(0, 256)), ...normalised(mean.subarray(256))], 1e-6, "activation");
  });

  test("a merge can be recorded; nothing but its results stays on the device", async () => {
    const merge = () => mergeBiases(layers, { kind: "quadratic", reading: "compat" });
    const expected = await merge().map.read();
    const step = gpu.record("merge", merge);
    step.replay();
    assert.deepEqual(await step.result.map.read(), expected);
    step.free();
    const before = gpu.memory().live;
    const { map, comb, mult, s, ssim } = merge();
    for (const tensor of [map, comb, mult, s, ssim]) tensor.free();
    assert.equal(gpu.memory().live, before);
  });
});
