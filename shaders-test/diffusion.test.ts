import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../src/errors.ts";
import { type NoiseItem, addNoise, ddimStep, latentSample, noiseItems, normalNoise } from "../src/ops/diffusion.ts";
import { type Round, assertMatches, randomValues, testDtypes, testGpu, upload } from "./harness.ts";

const gpu = await testGpu();

// --- noise -----------------------------------------------------------------------------------------------------------

/** The high and low word of a product of two 32-bit numbers. */
function product(a: number, b: number): [high: number, low: number] {
  const full = BigInt(a) * BigInt(b);
  return [Number(full >> 32n), Number(full & 0xffffffffn)];
}

/** Philox 4x32-10, written after the paper's figure. */
function philoxReference(counter: readonly number[], key: readonly number[]): number[] {
  let [r0, l0, r1, l1] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = product(r0, 0xd2511f53);
    const [high1, low1] = product(r1, 0xcd9e8d57);
    [r0, l0, r1, l1] = [(high1 ^ l0 ^ k0) >>> 0, low1, (high0 ^ l1 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [r0, l0, r1, l1];
}

/** Normal numbers by Box and Muller's formula in f64 from the same bits. */
function noiseReference(items: readonly NoiseItem[], itemSize: number, seed: number, stream: number): Float64Array {
  const noise = new Float64Array(items.length * itemSize);
  for (const [b, { image, timestep }] of items.entries()) {
    for (let n = 0; n < itemSize; n += 4) {
      const bits = philoxReference([n / 4, timestep, image, stream], [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]);
      const normals = [0, 2].flatMap((k) => {
        const radius = Math.sqrt(-2 * Math.log(((bits[k] >>> 8) + 1) / 2 ** 24));
        const angle = 2 * Math.PI * (bits[k + 1] / 2 ** 32);
        return [radius * Math.cos(angle), radius * Math.sin(angle)];
      });
      for (let k = 0; k < Math.min(4, itemSize - n); k++) noise[b * itemSize + n + k] = normals[k];
    }
  }
  return noise;
}

async function readNoise(shape: readonly number[], seed: number, stream: number, items: readonly NoiseItem[]): Promise<Float32Array> {
  const noise = normalNoise(gpu, shape, { seed, stream, items });
  const values = await noise.read();
  noise.free();
  return values;
}

for (const dtype of testDtypes(gpu)) {
  test(`noise in ${dtype} agrees with Box and Muller's formula in f64`, async () => {
    const items = [{ image: 0, timestep: 981 }, { image: 4_000_000_000, timestep: 0 }, { image: 7, timestep: 21 }];
    for (const seed of [0, 4200, Number.MAX_SAFE_INTEGER]) {
      const noise = normalNoise(gpu, [3, 37, 11], { seed, stream: 5, items, dtype });
      // Radius and angle are exact to a few roundings: sqrt halves the relative error of its argument.
      assertMatches(await noise.read(), () => noiseReference(items, 37 * 11, seed, 5), dtype, "noise");
      noise.free();
    }
  });
}

test("noise is normal: moments and Kolmogorov-Smirnov distance", async () => {
  const count = 4 * 64 * 64 * 8;
  const noise = await readNoise([8, count / 8], 1759, 0, Array.from({ length: 8 }, (_, i) => ({ image: i, timestep: 500 })));
  const moment = (power: number) => noise.reduce((sum, value) => sum + value ** power, 0) / count;
  // Five standard errors of the mean, variance, skewness and kurtosis of `count` normal numbers.
  for (const [power, expected, variance] of [[1, 0, 1], [2, 1, 2], [3, 0, 15], [4, 3, 96]]) {
    const error = Math.abs(moment(power) - expected);
    assert.ok(error < 5 * Math.sqrt(variance / count), `moment ${power} is off by ${error}`);
  }
  const sorted = noise.slice().sort();
  const distance = sorted.reduce((most, value, i) => Math.max(most, Math.abs(normalCdf(value) - (i + 0.5) / count) + 0.5 / count), 0);
  // A right generator passes 1.95 with probability 0.999.
  assert.ok(Math.sqrt(count) * distance < 1.95, `distance ${distance}`);
});

/** Distribution function of the normal distribution, by its series about 0 (|x| < 7). */
function normalCdf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17; n++) {
    term *= (x * x) / (2 * n + 1);
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

test("noise depends on seed, stream, image, timestep and place, not on the batch", async () => {
  const items = [{ image: 3, timestep: 41 }, { image: 0, timestep: 41 }, { image: 3, timestep: 61 }];
  const size = 1030;
  const all = await readNoise([3, size], 99, 1, items);
  for (const [b, item] of items.entries()) {
    assert.deepEqual(await readNoise([1, size], 99, 1, [item]), all.slice(b * size, (b + 1) * size));
  }
  assert.deepEqual(await readNoise([1, 100], 99, 1, [items[0]]), all.slice(0, 100));
  const others = [await readNoise([1, size], 100, 1, [items[0]]), await readNoise([1, size], 99 + 2 ** 32, 1, [items[0]]), await readNoise([1, size], 99, 2, [items[0]])];
  for (const other of [...others, all.slice(size, 2 * size), all.slice(2 * size)]) {
    const correlation = other.reduce((sum, value, i) => sum + value * all[i], 0) / size;
    assert.ok(Math.abs(correlation) < 4 / Math.sqrt(size), `correlation ${correlation}`);
  }
});

test("a recorded step makes the noise of the items that its tensor holds at each replay", async () => {
  const items = noiseItems(gpu, [{ image: 1, timestep: 2 }]);
  const step = gpu.record("noise", () => normalNoise(gpu, [1, 64], { seed: 3, stream: 4, items }));
  items.write(Uint32Array.of(5, 6));
  step.replay();
  assert.deepEqual(await step.result.read(), await readNoise([1, 64], 3, 4, [{ image: 5, timestep: 6 }]));
  step.free();
  items.free();
});

test("seeds, streams and items that are no integers are refused", () => {
  const options = { seed: 1, stream: 0, items: [{ image: 0, timestep: 0 }] };
  for (const wrong of [{ seed: -1 }, { seed: 2 ** 53 }, { seed: 0.5 }, { stream: 2 ** 32 }, { items: [{ image: -1, timestep: 0 }] }, { items: [] }]) {
    assert.throws(() => normalNoise(gpu, [1, 4], { ...options, ...wrong }), ShapeError);
  }
});

// --- noising, sampling, stepping ---------------------------------------------------------------------------------------

const size = 4 * 5 * 3;

/** Which item of z every one of three batch items takes, by how the batch is given. */
const broadcasts = [
  { name: "one for all", batches: 1, itemOf: undefined, source: [0, 0, 0] },
  { name: "one for each", batches: 3, itemOf: undefined, source: [0, 1, 2] },
  { name: "by index", batches: 2, itemOf: [1, 0, 1], source: [1, 0, 1] },
];

for (const dtype of testDtypes(gpu)) {
  for (const { name, batches, itemOf, source } of broadcasts) {
    test(`adding noise in ${dtype}, ${name}`, async () => {
      const z = randomValues(batches * size, 1, dtype, 3);
      const noise = randomValues(3 * size, 2, dtype, 3);
      const [a, s] = [Float32Array.of(0.9, 0.5, 0.1), Float32Array.of(0.4, 0.8, 0.99)];
      const y = gpu.scope("test", () =>
        addNoise(upload(gpu, z, [batches, 4, 5, 3], dtype), upload(gpu, noise, [3, 4, 5, 3], dtype), {
          sqrtAlpha: gpu.tensor(a, [3]),
          sqrtOneMinusAlpha: gpu.tensor(s, [3]),
          itemOf: itemOf && gpu.tensor(Uint32Array.from(itemOf), [3]),
        }),
      );
      const reference = (round: Round) =>
        Array.from(noise, (e, i) => {
          const b = Math.floor(i / size);
          return round(round(a[b] * z[source[b] * size + (i % size)]) + round(s[b] * e));
        });
      assertMatches(await y.read(), reference, dtype, "add noise");
      y.free();
    });

    test(`sampling a latent in ${dtype}, ${name}`, async () => {
      const mean = randomValues(batches * size, 1, dtype, 3);
      const logvar = randomValues(batches * size, 2, dtype, 4);
      const noise = randomValues(3 * size, 3, dtype, 3);
      const y = gpu.scope("test", () => {
        const [m, l, n] = [upload(gpu, mean, [batches, size], dtype), upload(gpu, logvar, [batches, size], dtype), upload(gpu, noise, [3, size], dtype)];
        return latentSample(m, l, n, 0.18215, itemOf && gpu.tensor(Uint32Array.from(itemOf), [3]));
      });
      const reference = (round: Round) =>
        Array.from(noise, (e, i) => {
          const at = source[Math.floor(i / size)] * size + (i % size);
          const deviation = round(Math.exp(round(0.5 * logvar[at])));
          return round(round(mean[at] + round(deviation * e)) * round(0.18215));
        });
      assertMatches(await y.read(), reference, dtype, "latent sample");
      y.free();
    });
  }

  for (const guided of [false, true]) {
    test(`a DDIM step in ${dtype}${guided ? " with guidance" : ""}`, async () => {
      const [x, conditional, unconditional] = [1, 2, 3].map((seed) => randomValues(1003, seed, dtype, 2));
      const c = Float32Array.of(1.25, -0.75, 0.3, 0.9, 0.8, 0.5, 1.5);
      const y = gpu.scope("test", () => {
        const [xTensor, output, other] = [x, conditional, unconditional].map((values) => upload(gpu, values, [1, 1003], dtype));
        return ddimStep(xTensor, output, gpu.tensor(c, [7]), guided ? { guided: { unconditional: other, scale: 16 } } : {});
      });
      const reference = (round: Round) =>
        Array.from(x, (value, i) => {
          const m = guided ? round(unconditional[i] + round(16 * round(conditional[i] - unconditional[i]))) : conditional[i];
          const x0 = Math.min(c[6], Math.max(-c[6], round(round(c[0] * value) + round(c[1] * m))));
          return round(round(c[4] * x0) + round(c[5] * round(round(c[2] * value) + round(c[3] * m))));
        });
      assertMatches(await y.read(), reference, dtype, "ddim step");
      y.free();
    });
  }
}

test("log-variances are clamped to -30 and 20", async () => {
  const y = gpu.scope("test", () => {
    const [mean, noise] = [upload(gpu, new Float32Array(4), [1, 4]), upload(gpu, Float32Array.of(1, 1, 1, 1), [1, 4])];
    return latentSample(mean, upload(gpu, Float32Array.of(-1000, -31, 21, 60), [1, 4]), noise, 1);
  });
  const expected = [Math.exp(-15), Math.exp(-15), Math.exp(10), Math.exp(10)];
  (await y.read()).forEach((value, i) => assert.ok(Math.abs(value / expected[i] - 1) < 1e-5, `${value}, expected ${expected[i]}`));
  y.free();
});

test("batches that do not fit are refused by name", () => {
  const [two, three, scalars] = [upload(gpu, randomValues(8, 1), [2, 4]), upload(gpu, randomValues(12, 1), [3, 4]), upload(gpu, randomValues(3, 1), [3])];
  const options = { sqrtAlpha: scalars, sqrtOneMinusAlpha: scalars };
  assert.throws(() => addNoise(two, three, options), (error) => error instanceof ShapeError && /itemOf/.test(error.message));
  assert.throws(() => latentSample(two, three, three, 1), (error) => error instanceof ShapeError && /logvar/.test(error.message));
  assert.throws(() => ddimStep(two, two, scalars), (error) => error instanceof ShapeError && /coefficients/.test(error.message));
});
