import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { randomValues, testGpu } from "../shaders-test/harness.ts";
import type { Film } from "../src/data/film.ts";
import { type Plane, filmPlanes } from "../src/data/planes.ts";
import { InputError, WeightsError } from "../src/errors.ts";
import { MemoryBiasStore } from "../src/grounding/phrase_bias.ts";
import { ConvBatchNorm } from "../src/models/batch_norm.ts";
import { DenseNet } from "../src/models/densenet.ts";
import { loadModel } from "../src/models/load.ts";
import { type Model, ParameterScope, freeModel } from "../src/models/parameters.ts";
import { type FeatureNetwork, featureNetworks } from "../src/quality/feature_networks.ts";
import { type LoadedNetwork, type SetImage, imageStatistics } from "../src/quality/image_statistics.ts";
import { byFormula } from "../src/verify/formula.ts";
import { formulaSource } from "../src/verify/formula_source.ts";

const gpu = await testGpu();

/** Names and shapes of a model's weights, and what trainers put beside them. */
const manifestOf = (model: Model, extra: Record<string, number[]> = {}, prefix = "") => ({
  ...Object.fromEntries([...model.parameters].map(([name, { shape }]) => [prefix + name, shape])),
  ...extra,
});

const smallDenseNet = { inChannels: 1, width: 8, growth: 4, blocks: [2, 1] };

describe("loading", () => {
  test("a convolution with batch norm is one convolution, its norm folded", async () => {
    const p = new ParameterScope();
    const layer = new ConvBatchNorm(p.at("conv"), p.at("bn"), 3, 5, { kernel: 1, eps: 1e-3 });
    const model: Model = { parameters: p.all, ignoredKeys: /^$/, prepare: p.prepare };
    await loadModel(gpu, model, formulaSource("weights", manifestOf(model)));
    const x = randomValues(7 * 3, 1);
    const y = gpu.scope("test", () => layer.forward(gpu.tensor(x, [1, 7, 1, 3])));
    const [weight, gamma, beta, mean, variance] = [
      byFormula("conv.weight", [5, 3, 1, 1]),
      ...["weight", "bias", "running_mean", "running_var"].map((name) => byFormula(`bn.${name}`, [5])),
    ];
    const expected = Float64Array.from({ length: 7 * 5 }, (_, i) => {
      const [pixel, c] = [Math.floor(i / 5), i % 5];
      const sum = [0, 1, 2].reduce((total, k) => total + weight[c * 3 + k] * x[pixel * 3 + k], 0);
      return ((sum - mean[c]) * gamma[c]) / Math.sqrt(variance[c] + 1e-3) + beta[c];
    });
    const actual = await y.read();
    y.free();
    freeModel(model);
    assert.ok(expected.every((value, i) => Math.abs(value - actual[i]) < 1e-5));
  });

  test("counters, classifiers and torchxrayvision's operating points stay aside; so does a trainer's prefix", async () => {
    const model = new DenseNet(smallDenseNet);
    const beside = { "module.classifier.weight": [18, 10], "module.classifier.bias": [18], "module.op_threshs": [18], "module.features.norm0.num_batches_tracked": [1] };
    const weights = formulaSource("weights", manifestOf(model, beside, "module."));
    await loadModel(gpu, model, weights, { prefixes: ["", "module."] });
    freeModel(model);
  });

  test("another network's weights are refused by the first name that is missing", async () => {
    const weights = formulaSource("other.pth", { "Conv2d_1a_3x3.conv.weight": [32, 3, 3, 3] });
    await assert.rejects(loadModel(gpu, new DenseNet(smallDenseNet), weights), (error) => error instanceof WeightsError && /other\.pth: lacks tensor features\.conv0\.weight/.test(error.message));
  });

  test("loading leaves nothing behind but the weights", async () => {
    const model = new DenseNet(smallDenseNet);
    const before = gpu.memory().live;
    await loadModel(gpu, model, formulaSource("weights", manifestOf(model)));
    const loaded = gpu.memory().live;
    await loadModel(gpu, model, formulaSource("weights", manifestOf(model)));
    assert.equal(gpu.memory().live, loaded);
    freeModel(model);
    assert.equal(gpu.memory().live, before);
  });
});

describe("inputs", () => {
  const grey: Plane = { width: 40, height: 20, data: Float64Array.from({ length: 800 }, (_, i) => (i % 40) / 39) };

  test("InceptionV3 sees the whole image in [-1, 1], or the middle twice as far in the published reading", () => {
    const [paper, compat] = (["paper", "compat"] as const).map((reading) => featureNetworks.inception.prepare([grey], reading));
    assert.equal(paper.length, 299 * 299 * 3);
    assert.deepEqual([paper[0], paper[1], paper[3 * 298]], [-1, -1, 1]);
    // The crop keeps columns 10 to 30 of 40: grey from about 1/4 to 3/4, and 4 x - 3.
    assert.ok(Math.abs(compat[0] - (4 * (9.53 / 39) - 3)) < 0.01, String(compat[0]));
    assert.ok(Math.abs(compat[3 * 298] - (4 * (29.47 / 39) - 3)) < 0.01, String(compat[3 * 298]));
  });

  test("torchxrayvision sees one channel in [-1024, 1024]", () => {
    const constant = (value: number): Plane => ({ width: 30, height: 50, data: new Float64Array(1500).fill(value) });
    const film = featureNetworks.xrv.prepare([constant(0), constant(0.5), constant(1)], "paper");
    assert.equal(film.length, 224 * 224);
    assert.ok(film.every((value) => Math.abs(value) < 1e-3));
    assert.ok(featureNetworks.xrv.prepare([constant(1)], "paper").every((value) => Math.abs(value - 1024) < 1e-3));
  });

  test("the channels of a film", () => {
    const film: Film = { name: "film", width: 2, height: 1, channels: 3, data: Uint8Array.of(0, 51, 255, 102, 153, 204), notes: [] };
    assert.deepEqual(filmPlanes(film).map(({ data }) => [...data]), [[0, 0.4], [0.2, 0.6], [1, 0.8]]);
  });
});

describe("statistics of images", () => {
  const side = 32;
  const network: FeatureNetwork = { measure: "small", inputShape: [side, side, 1], build: () => new DenseNet(smallDenseNet), prepare: ([{ data }]) => Float32Array.from(data, (value) => 1024 * (2 * value - 1)) };
  const film = (seed: number): Film => ({ name: `film ${seed}`, width: side, height: side, channels: 1, data: Uint8Array.from(randomValues(side * side, seed), (value) => Math.round(255 * Math.abs(value))), notes: [] });

  interface Set {
    images: AsyncIterable<SetImage>;
    /** Names of the images that were decoded. */
    decoded: string[];
  }

  /** Images by their seeds; those below 0 cannot be decoded. */
  function imageSet(seeds: readonly number[]): Set {
    const decoded: string[] = [];
    const images = (async function* () {
      for (const seed of seeds) {
        const name = `film ${seed}`;
        yield {
          name,
          sha256: String(seed),
          film: async () => {
            if (seed < 0) throw new InputError(name, "is no image");
            decoded.push(name);
            return film(seed);
          },
        };
      }
    })();
    return { images, decoded };
  }

  async function withNetwork<R>(use: (loaded: LoadedNetwork) => Promise<R>): Promise<R> {
    const model = network.build();
    await loadModel(gpu, model, formulaSource("weights", manifestOf(model)));
    try {
      return await use({ gpu, network, model, sha256: "abc", reading: "paper" });
    } finally {
      freeModel(model);
    }
  }

  const refuse = (name: string, fact: string) => assert.fail(`${name}: ${fact}`);
  const seeds = Array.from({ length: 19 }, (_, i) => i + 1);

  test("what an interrupted run kept is not computed again, and the result has the same bits", async () => {
    await withNetwork(async (loaded) => {
      const whole = await imageStatistics(loaded, imageSet(seeds).images, { onSkip: refuse });
      const store = new MemoryBiasStore();
      const controller = new AbortController();
      const stopped = imageStatistics(loaded, imageSet(seeds).images, { store, onSkip: refuse, signal: controller.signal, onProgress: () => controller.abort() });
      await assert.rejects(stopped, (error: Error) => error.name === "AbortError");
      const rest = imageSet(seeds);
      const resumed = await imageStatistics(loaded, rest.images, { store, onSkip: refuse });
      assert.deepEqual(rest.decoded, seeds.slice(8).map((seed) => `film ${seed}`));
      assert.equal(resumed.count, seeds.length);
      assert.deepEqual(resumed.fit().mean, whole.fit().mean);
      assert.deepEqual(resumed.fit().covariance.to1DArray(), whole.fit().covariance.to1DArray());
      const again = imageSet(seeds);
      await imageStatistics(loaded, again.images, { store, onSkip: refuse });
      assert.deepEqual(again.decoded, []);
      const otherReading = imageSet(seeds);
      await imageStatistics({ ...loaded, reading: "compat" }, otherReading.images, { store, onSkip: refuse });
      assert.equal(otherReading.decoded.length, seeds.length);
    });
  });

  test("an image that cannot be decoded is told and left out", async () => {
    await withNetwork(async (loaded) => {
      const skipped: string[] = [];
      const counts: number[] = [];
      const statistics = await imageStatistics(loaded, imageSet([1, -2, 3, -4]).images, { onSkip: (name, fact) => skipped.push(`${name} | ${fact}`), onProgress: (done) => counts.push(done) });
      assert.deepEqual(skipped, ["film -2 | film -2: is no image", "film -4 | film -4: is no image"]);
      assert.deepEqual(counts, [4]);
      const without = await imageStatistics(loaded, imageSet([1, 3]).images, { onSkip: refuse });
      assert.deepEqual(statistics.fit().mean, without.fit().mean);
    });
  });
});
