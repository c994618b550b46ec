import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { testGpu } from "../shaders-test/harness.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { createRandom } from "../src/random.ts";
import { InputError } from "../src/errors.ts";
import { loadPipeline } from "../src/node.ts";
import type { Reading } from "../src/grounding/bias_merging.ts";
import { contrastMeter } from "../src/grounding/contrast_meter.ts";
import { truthMetrics } from "../src/grounding/metrics.ts";
import { capturePasses, prepareSweepPhrase } from "../src/sweep/capture.ts";
import { composeMaps } from "../src/sweep/compose.ts";
import { completeGrid, lastStepsOf, layerSetsOf } from "../src/sweep/grid.ts";
import { type LayerMeans, pickMeans, readMeans, uploadMeans } from "../src/sweep/layer_means.ts";
import { layerObjective } from "../src/sweep/layer_objective.ts";
import { type Trial, searchLayers } from "../src/sweep/layer_search.ts";
import { type SweptMap, sweep } from "../src/sweep/sweep.ts";
import { modelOfTwoResolutions } from "./two_resolutions.ts";

const gpu = await testGpu();
const folder = fileURLToPath(new URL("../weights/phantom", import.meta.url));
const pipeline = await loadPipeline(gpu, await modelOfTwoResolutions());
after(() => pipeline.free());
const film = await readFilm(`${folder}/samples/film_05.png`);
const other = await readFilm(`${folder}/samples/film_02.png`);
const requests = [
  { film, phrase: "moderate pleural effusion on the left", label: "Pleural Effusion" },
  { film: other, phrase: "left mid lung consolidation", label: "Consolidation" },
  { film, phrase: "left mid lung consolidation", label: "Edema" }, // the phrase has no word of this label: all tokens
];
const seed = 7;

async function collect(maps: AsyncIterable<SweptMap>): Promise<SweptMap[]> {
  const all: SweptMap[] = [];
  for await (const map of maps) all.push(map);
  return all;
}

/** Maps of settings drawn at random, and how far they are from those of the pipeline. */
async function compareSome(all: readonly SweptMap[], count: number, reading: Reading): Promise<void> {
  const random = createRandom(1);
  for (let i = 0; i < count; i++) {
    const { request, settings, map, s } = random.choose(all);
    const { film: looked, phrase, label } = requests[request];
    const alone = await pipeline.ground(looked, phrase, { ...settings, label, seed, reading });
    const difference = map.reduce((most, value, pixel) => Math.max(most, Math.abs(value - alone.map[pixel])), 0);
    assert.ok(difference <= 1e-6, `${JSON.stringify(settings)}: differs by ${difference}`);
    assert.equal(s, alone.s);
  }
}

describe("every map equals the pipeline's own with the same settings", () => {
  test("all modes, as the paper reads", async () => {
    const all = await collect(sweep(pipeline, requests, { modes: ["gt", "gt1", "cfg", "text"], steps: [3, 2], lastSteps: [1, 2, 5], layers: ["all", "resolutions", "single", [5, 1]], seed }));
    // (1, 2, 3 of 3 and 1, 2 of 2 timesteps) x modes x tokens x merges x (all, two resolutions of several layers, single, listed)
    assert.equal(all.length, 3 * (3 + 2) * 4 * 3 * 4 * (1 + 2 + 7 + 1));
    await compareSome(all, 12, "paper");
  });

  test("as the published code computes", async () => {
    await compareSome(await collect(sweep(pipeline, requests, { steps: [3], lastSteps: [1, 2], layers: ["all", "single"], seed, reading: "compat" })), 6, "compat");
  });

  test("whatever the batch", async () => {
    const options = { steps: [2], lastSteps: [2], layers: ["all"], merges: ["mixture"], seed } as const;
    assert.deepEqual(await collect(sweep(pipeline, requests, { ...options, batch: 3 })), await collect(sweep(pipeline, requests, options)));
  });
});

test("settings that differ after capture cost no evaluation of the U-Net; modes share the text bias", async () => {
  const grid = completeGrid({ modes: ["gt", "text"], steps: [2], seed: 11 }, 7);
  const evaluations: number[] = [];
  for await (const pass of capturePasses(pipeline, requests, grid)) evaluations.push(pass.evaluations);
  // two steps of three maps; both branches of two steps of three texts (a phrase with two labels has two token choices)
  assert.deepEqual(evaluations, [2 * 3 + 2 * 2 * 3, 2 * 3]);
  const unmerged = completeGrid({ merges: ["none"], steps: [2], seed: 12 }, 7);
  for await (const pass of capturePasses(pipeline, requests, unmerged)) assert.equal(pass.evaluations, 2 * 3, "no text bias without a merge");
});

test("without a label the disease's choice is all tokens; an unknown label is refused", async () => {
  const grid = completeGrid({}, 7);
  const { choices } = await prepareSweepPhrase(pipeline, { phrase: "left mid lung consolidation" }, grid);
  const [lexical, disease, all] = choices.map(({ weights }) => [...weights]);
  assert.deepEqual(disease, all);
  const [, known] = (await prepareSweepPhrase(pipeline, { phrase: "left mid lung consolidation", label: "Consolidation" }, grid)).choices;
  assert.notDeepEqual([...known.weights], lexical);
  await assert.rejects(prepareSweepPhrase(pipeline, { phrase: "edema", label: "Fracture" }, grid), /--label: Fracture is not a known label/);
});

test("no memory is left behind, also where a sweep is left early", async () => {
  const options = { steps: [2], layers: ["all"], seed } as const;
  await collect(sweep(pipeline, requests, options));
  const { live } = gpu.memory();
  await collect(sweep(pipeline, requests, { ...options, modes: ["gt", "cfg"] }));
  for await (const map of sweep(pipeline, requests, options)) if (map.request === 1) break;
  const controller = new AbortController();
  await assert.rejects(collect(sweep(pipeline, requests, { ...options, seed: 99, signal: controller.signal, onProgress: () => controller.abort() })), { name: "AbortError" });
  assert.equal(gpu.memory().live, live);
});

test("means are the same from the host as on the device, and those of one setting alone too", async () => {
  const grid = completeGrid({ steps: [3], lastSteps: [1, 3], seed }, 7);
  for await (const { means } of capturePasses(pipeline, requests, grid)) {
    const compose = async (of: LayerMeans) => (await composeMaps(of, { layers: [1, 4, 5], merges: ["mixture"], reading: "paper" }));
    const direct = await compose(means);
    const read = await readMeans(means);
    const whole = uploadMeans(gpu, read);
    assert.deepEqual(await compose(whole), direct);
    const alone = uploadMeans(gpu, read.map((target) => pickMeans(target, { token: 2, last: 1 })));
    assert.deepEqual((await compose(alone))[0].maps, direct.find(({ token, last }) => token === 2 && last === 1)?.maps);
    whole.free();
    alone.free();
  }
});

describe("grids", () => {
  test("layer sets are all, by resolution and single, each once", () => {
    const layers = [16, 8, 4, 8, 16].map((side) => ({ side }));
    assert.deepEqual(layerSetsOf(["all", "resolutions", "single", [4, 0]], layers), [[0, 1, 2, 3, 4], [0, 4], [1, 3], [2], [0], [1], [3], [4]]);
  });

  test("a pass with fewer timesteps takes all of them once", () => {
    assert.deepEqual(lastStepsOf([1, 5, 10, 40], 5), [1, 5]);
  });

  test("values that cannot be are refused by name, repeated ones dropped", () => {
    assert.deepEqual(completeGrid({ steps: [3, 5, 3] }, 7).steps, [3, 5]);
    const refuse = (options: Parameters<typeof completeGrid>[0], pattern: RegExp) =>
      assert.throws(() => completeGrid(options, 7), (error: Error) => error instanceof InputError && pattern.test(error.message));
    refuse({ steps: [0] }, /--steps: 0/);
    refuse({ layers: ["all", [7]] }, /--layers: 7/);
    refuse({ modes: [] }, /--mode: has no value/);
    refuse({ merges: ["best" as "none"] }, /--merge/);
  });
});

describe("searching layers", () => {
  const truth = Uint8Array.from({ length: 128 * 128 }, (_, i) => Number(i % 128 > 70 && i % 128 < 110 && i > 128 * 40 && i < 128 * 90));

  test("the contrast of a map is that of the metrics", () => {
    const random = createRandom(5);
    for (const [side, imageSize] of [[16, 128], [8, 8], [5, 128]] as const) {
      const here = truth.subarray(0, imageSize ** 2).map((value, i) => (imageSize === 128 ? value : Number(i % 8 > 4)));
      const map = Float32Array.from({ length: side ** 2 }, () => random.uniform(0, 1));
      const { cnr } = truthMetrics({ map, mask: new Uint8Array(side ** 2).fill(1), side, imageSize, truth: here, boxCount: 1 });
      assert.ok(Math.abs(contrastMeter(here, { side, imageSize })(map) - cnr) < 1e-6);
      assert.equal(contrastMeter(here, { side, imageSize })(new Float32Array(side ** 2).fill(0.3)), 0);
    }
  });

  test("the objective is the mean metric of the maps that the pipeline makes", async () => {
    const grid = completeGrid({ steps: [2], lastSteps: [2], tokens: ["lexical"], seed }, 7);
    for await (const { means } of capturePasses(pipeline, requests, grid)) {
      const truths = requests.map(() => ({ truth, boxCount: 1 }));
      for (const metric of ["cnr", "miou"] as const) {
        const objective = layerObjective(means, truths, { metric, merge: "linear", reading: "paper", imageSize: 128 });
        const results = await pipeline.groundMany(requests, { steps: 2, lastSteps: 2, layers: [0, 3, 6], merge: "linear", seed });
        const expected = results.map(({ map, mask, side }) => truthMetrics({ map, mask, side, imageSize: 128, truth, boxCount: 1 })[metric]);
        assert.ok(Math.abs((await objective([0, 3, 6])) - expected.reduce((a, b) => a + b) / 3) < 1e-6, metric);
      }
    }
  });

  /** How many switches agree with a hidden set. */
  const hidden = [0, 2, 3, 7, 8, 11, 13];
  const agreement = async (layers: readonly number[]) => Array.from({ length: 16 }, (_, i) => i).filter((i) => hidden.includes(i) === layers.includes(i)).length;

  test("guesses find a hidden set of 16 layers where chance does not; a seed gives the same trials", async () => {
    const [guessed, again, chance] = await Promise.all((["tpe", "tpe", "random"] as const).map((strategy) => searchLayers(16, agreement, { strategy, trials: 300, seed: 3 })));
    const best = (trials: readonly Trial[]) => Math.max(...trials.map(({ value }) => value));
    assert.deepEqual(guessed[0].layers, Array.from({ length: 16 }, (_, i) => i), "all layers come first");
    assert.equal(best(guessed), 16);
    assert.ok(best(chance) < 16);
    assert.deepEqual(guessed, again);
    assert.equal(new Set(guessed.map(({ layers }) => layers.join())).size, 300);
  });

  test("few layers are searched exhaustively; a search can be stopped", async () => {
    assert.equal((await searchLayers(4, agreement, { trials: 1000 })).length, 15);
    const controller = new AbortController();
    const undefinedAtFirst = async (layers: readonly number[]) => (layers.length === 4 || layers.includes(2) ? NaN : layers.length);
    const bests: Trial[] = [];
    const trials = await searchLayers(4, undefinedAtFirst, { onTrial: (_, best) => bests.push(best) });
    assert.deepEqual([trials[0].value, bests.at(-1)?.layers], [-Infinity, [0, 1, 3]], "no number is worse than any");
    await assert.rejects(searchLayers(16, agreement, { signal: controller.signal, onTrial: (_, __, done) => done === 5 && controller.abort() }), { name: "AbortError" });
  });
});
