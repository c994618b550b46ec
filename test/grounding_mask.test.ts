import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { activationMask, fitMixture } from "../src/grounding/mask.ts";
import { normalised } from "../src/grounding/maps.ts";
import { readGolden } from "./golden.ts";
import { needsShared } from "./shared.ts";

const assertNear = (actual: readonly number[], expected: readonly number[], bound: number) =>
  actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= bound, `${actual} differs from ${expected} by more than ${bound}`));

const wave = (i: number) => Math.sin(0.37 * i);

describe("mixtures as scikit-learn 1.9.1 fits them, GaussianMixture(2, random_state=0)", () => {
  test("two separate groups", () => {
    const x = Array.from({ length: 400 }, (_, i) => 0.3 + 0.1 * wave(i) + 0.05 * Math.sin(1.3 * i) + (i % 7 === 0 ? 0.4 + 0.05 * Math.cos(0.9 * i) : 0));
    const { means, variances, weights, iterations, converged } = fitMixture(x);
    assertNear(means, [0.30171715846978364, 0.7432723688729099], 1e-12);
    assertNear(variances, [0.006243932734368519, 0.006366801974781741], 1e-12);
    assertNear(weights, [0.8551886107269742, 0.14481138927302586], 1e-12);
    assert.deepEqual([iterations, converged], [2, true]);
  });

  test("two groups that overlap: where the fit stops depends on its start", () => {
    const x = Array.from({ length: 400 }, (_, i) => 0.5 + 0.2 * wave(i) + 0.15 * Math.sin(1.3 * i) + 0.1 * Math.sin(2.1 * i) ** 3);
    const { means, variances, iterations } = fitMixture(x);
    assertNear(means, [0.3690184070142449, 0.6344162833062317], 1e-12);
    assertNear(variances, [0.01675612405769661, 0.016443954182933318], 1e-12);
    assert.equal(iterations, 5);
  });
});

describe("maps with little to fit", () => {
  test("a constant map has no foreground", () => {
    for (const value of [0, 0.7]) {
      const { mask, threshold, mixture } = activationMask(new Float32Array(81).fill(value), 9);
      assert.deepEqual(mask, new Uint8Array(81));
      assertNear([threshold, ...mixture.means], [value, value, value], 1e-7);
    }
  });

  test("two values: the greater one is foreground", () => {
    const map = Float32Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 0.25 : 0.75));
    const { mask, mixture } = activationMask(map, 8);
    assert.deepEqual(mask, Uint8Array.from(map, (value) => Number(value > 0.5)));
    assertNear(mixture.means, [0.25, 0.75], 1e-12);
  });

  test("one value that differs", () => {
    const map = new Float32Array(49).fill(0.5);
    map[0] = 0.6;
    const { mask } = activationMask(map, 7);
    assert.equal(mask[0], 1, "a corner keeps its value");
    assert.equal(mask.reduce((a, b) => a + b), 1);
    map[0] = 0.5;
    map[24] = 0.6;
    assert.deepEqual(activationMask(map, 7).mask, new Uint8Array(49), "a single interior pixel is filtered out");
  });

  test("a map of one pixel", () => {
    assert.deepEqual(activationMask([0.3], 1).mask, Uint8Array.of(0));
  });
});

interface GoldenMixture {
  means: number[];
  threshold: number;
}

/** At most 0.2 % of the pixels may differ. */
function assertMask(map: ArrayLike<number>, golden: GoldenMixture, mask: Float32Array) {
  const actual = activationMask(map, 64);
  assertNear(actual.mixture.means, golden.means.toSorted((a, b) => a - b), 1e-6);
  assertNear([actual.threshold], [golden.threshold], 1e-6);
  const different = actual.mask.reduce((sum, value, i) => sum + Number(value !== mask[i]), 0);
  assert.ok(different <= 0.002 * mask.length, `${different} pixels differ`);
}

test("masks of the synthetic goldens", needsShared("goldens/maps.safetensors"), async () => {
  const { tensors, metadata } = await readGolden("goldens/maps.safetensors");
  const cases = JSON.parse(metadata.cases) as { gmm_means: number[]; threshold: number }[];
  for (const [i, { gmm_means: means, threshold }] of cases.entries()) {
    assertMask(normalised(tensors.get(`${i}.a`)!.data), { means, threshold }, tensors.get(`${i}.mask`)!.data);
  }
});

test("masks of the grounding goldens", needsShared("goldens/ground.safetensors"), async () => {
  const { tensors, metadata } = await readGolden("goldens/ground.safetensors");
  const cases = JSON.parse(metadata.cases) as Record<string, GoldenMixture>[];
  for (const [i, golden] of cases.entries()) {
    const maps = {
      P_comb: normalised(tensors.get(`${i}.paper.P_comb`)!.data),
      mixture: tensors.get(`${i}.paper.mixture`)!.data,
      compat: tensors.get(`${i}.compat.map`)!.data,
    };
    for (const [name, map] of Object.entries(maps)) assertMask(map, golden[`gmm.${name}`], tensors.get(`${i}.mask.${name}`)!.data);
  }
});
