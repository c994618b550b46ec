import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { accumulateCapture } from "../src/ops/attention.ts";
import { zeros } from "../src/ops/fill.ts";
import { type LayerMaps, biasProduct, mapProduct, timestepSum, upsampledMean } from "../src/ops/grounding.ts";
import { sizeOf } from "../src/tensor.ts";
import { type LayerCase, layerCases } from "./grounding_cases.ts";
import { meanReference, productReference, repeatReference } from "./grounding_reference.ts";
import { type Round, assertMatches, randomValues, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

/** Captured values of each layer, [P, T, r * r]. */
function captured({ batch, timesteps, sides }: LayerCase, seed: number): Float32Array[] {
  return sides.map((side, l) => randomValues(sizeOf(batch) * timesteps * side ** 2, seed + l).map((value) => value + 1));
}

function layersOf({ batch, timesteps, sides }: LayerCase, values: Float32Array[]): LayerMaps[] {
  return sides.map((side, l) => ({ side, maps: upload(gpu, values[l], [...batch, timesteps, side ** 2]) }));
}

/** Map of item p at timestep t of a layer. */
const mapAt = (values: Float32Array, p: number, t: number, { timesteps }: LayerCase, side: number) =>
  values.subarray((p * timesteps + t) * side ** 2, (p * timesteps + t + 1) * side ** 2);

/** For every item, the mean over layers and timesteps of full-size maps. */
function referenceMean(shape: LayerCase, round: Round, weights: readonly number[], mapOf: (l: number, p: number, t: number) => ArrayLike<number>) {
  const { batch, timesteps, sides } = shape;
  return Array.from({ length: sizeOf(batch) }, (_, p) => {
    const pairs = sides.flatMap((_, l) => Array.from({ length: timesteps }, (_, t) => ({ map: mapOf(l, p, t), weight: weights[t] })));
    return [...meanReference(pairs.map(({ map }) => map), pairs.map(({ weight }) => weight), round)];
  }).flat();
}

for (const shape of layerCases) {
  const { batch, timesteps, side, sides } = shape;
  const name = `[${batch}] T=${timesteps} ${sides} to ${side}`;

  for (const weighted of [false, true]) {
    test(`mean of ${name}${weighted ? ", weighted" : ""}`, async () => {
      const values = captured(shape, 10);
      // The first timestep is left out, where there is another.
      const weights = Array.from({ length: timesteps }, (_, t) => (weighted ? (t === 0 && timesteps > 1 ? 0 : t + 0.5) : 1));
      const timestepWeights = weighted ? gpu.tensor(Float32Array.from(weights), [timesteps]) : undefined;
      const mean = upsampledMean(layersOf(shape, values), { side, timestepWeights });
      assert.deepEqual(mean.shape, [...batch, side ** 2]);
      const actual = await mean.read();
      const repeated = (l: number, p: number, t: number) => repeatReference(mapAt(values[l], p, t, shape, sides[l]), sides[l], side);
      assertMatches(actual, (round) => referenceMean(shape, round, weights, repeated), "f32", name);
    });
  }

  test(`bias product of ${name}`, async () => {
    const [img, txt] = [captured(shape, 30), captured(shape, 50)];
    const mult = biasProduct(layersOf(shape, img), layersOf(shape, txt), { side });
    assert.deepEqual(mult.shape, [...batch, side ** 2]);
    const actual = await mult.read();
    // By definition: upsampled first, then multiplied.
    const product = (round: Round) => (l: number, p: number, t: number) => {
      const full = (values: Float32Array[]) => repeatReference(mapAt(values[l], p, t, shape, sides[l]), sides[l], side);
      return productReference(full(img), full(txt), side, round);
    };
    assertMatches(actual, (round) => referenceMean(shape, round, Array(timesteps).fill(1), product(round)), "f32", name);
  });
}

for (const [count, side] of [[1, 1], [3, 5], [2, 4], [5, 20], [70_000, 4], [2, 64]] as const) {
  for (const variant of side % 4 === 0 ? (["blocks", "naive"] as const) : (["naive"] as const)) {
    test(`map product ${variant}, ${count} of ${side}x${side}`, async () => {
      const [a, b] = [randomValues(count * side ** 2, 1), randomValues(count * side ** 2, 2)];
      const actual = await mapProduct(upload(gpu, a, [count, side ** 2]), upload(gpu, b, [count, side ** 2]), { side, variant }).read();
      const of = (x: Float32Array, n: number) => x.subarray(n * side ** 2, (n + 1) * side ** 2);
      const reference = (round: Round) => {
        const c = new Float64Array(a.length);
        for (let n = 0; n < count; n++) c.set(productReference(of(a, n), of(b, n), side, round), n * side ** 2);
        return c;
      };
      assertMatches(actual, reference, "f32", "map product");
    });
  }
}

test("a sum over timesteps has the bits of a running sum", async () => {
  const [timesteps, pixels] = [7, 25];
  const maps = upload(gpu, randomValues(timesteps * pixels, 3), [timesteps, pixels]);
  const weights = gpu.tensor(Float32Array.from({ length: timesteps }, (_, t) => (t < 2 ? 0 : 1 / (t + 0.5))), [timesteps]);
  const running = accumulateCapture(zeros(gpu, [1, 1, pixels]), maps.reshape(timesteps, 1, pixels), { weights });
  assert.deepEqual(await timestepSum(maps, weights).read(), await running.read());
});

describe("what does not fit is refused", () => {
  const layer = (timesteps: number, side: number): LayerMaps => ({ maps: gpu.empty([timesteps, side ** 2]), side });
  const cases: [string, () => unknown, RegExp][] = [
    ["no layer", () => upsampledMean([], { side: 4 }), /one layer at least/],
    ["a side that does not divide", () => upsampledMean([layer(2, 3)], { side: 4 }), /side 4 is not a multiple of the native side 3/],
    ["layers of other timesteps", () => upsampledMean([layer(2, 2), layer(3, 2)], { side: 4 }), /maps is \[3,4\], needs \[2,4\]/],
    ["weights of other timesteps", () => upsampledMean([layer(2, 2)], { side: 4, timestepWeights: gpu.empty([3]) }), /timestepWeights is \[3\], needs \[2\]/],
    ["a sum's weights of other timesteps", () => timestepSum(gpu.empty([2, 4]), gpu.empty([3])), /weights is \[3\], needs \[2\]/],
    ["unpaired layers", () => biasProduct([layer(2, 2)], [layer(2, 2), layer(2, 2)], { side: 4 }), /1 image layers do not pair with 2/],
    ["layers of other sides", () => biasProduct([layer(2, 2)], [layer(2, 4)], { side: 4 }), /b is \[2,16\], needs \[2,4\]/],
    ["integers", () => upsampledMean([{ maps: gpu.empty([1, 4], "u32"), side: 2 }], { side: 2 }), /takes f32, got u32/],
  ];
  for (const [name, run, message] of cases) {
    test(name, () => assert.throws(run, (error) => error instanceof ShapeError && message.test(error.message)));
  }
});
