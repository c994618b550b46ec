import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { testGpu } from "../shaders-test/harness.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { InputError } from "../src/errors.ts";
import type { GroundOptions } from "../src/grounding/pipeline.ts";
import { loadPipeline } from "../src/node.ts";

const gpu = await testGpu();
/** Side of the shipped model's latents, and so of its maps. */
const SIDE = 32;
const folder = fileURLToPath(new URL("../weights/phantom", import.meta.url));
const pipeline = await loadPipeline(gpu, folder);
after(() => pipeline.free());
const film = await readFilm(`${folder}/samples/film_05.png`);
const other = await readFilm(`${folder}/samples/film_02.png`);
const phrase = "moderate pleural effusion on the left";
const quick: GroundOptions = { steps: 3, lastSteps: 2, seed: 7 };

test("the map does not depend on the batch, on what else is asked, nor on the order", async () => {
  const alone = await pipeline.ground(film, phrase, { ...quick, batch: 1 });
  const requests = [
    { film: other, phrase: "left mid lung consolidation" },
    { film: other, phrase },
    { film, phrase },
  ];
  const many = await pipeline.groundMany(requests, { ...quick, batch: 4 });
  assert.deepEqual(many[2].map, alone.map);
  assert.equal(many[2].s, alone.s);
  assert.notDeepEqual(many[1].map, alone.map);
});

test("a seed gives the same bytes again, another seed others", async () => {
  const [a, b, c] = [await pipeline.ground(film, phrase, quick), await pipeline.ground(film, phrase, quick), await pipeline.ground(film, phrase, { ...quick, seed: 8 })];
  assert.deepEqual(a.map, b.map);
  assert.notDeepEqual(a.map, c.map);
});

test("in mode gt one map and two scalars come back, and a known text bias costs nothing", async () => {
  await pipeline.ground(film, phrase, quick);
  const { cost } = await pipeline.ground(film, phrase, quick);
  assert.equal(cost.unetEvaluations, 3);
  assert.equal(cost.bytesReadBack, SIDE * SIDE * 4 + 8);
  const plain = await pipeline.ground(film, phrase, { ...quick, merge: "none" });
  assert.equal(plain.cost.unetEvaluations, 2, "timesteps that no map needs are left out");
  assert.equal(plain.s, undefined);
});

test("all modes give a map in [0, 1] with a mask and regions", async () => {
  for (const mode of ["gt", "gt1", "cfg", "text"] as const) {
    const result = await pipeline.ground(film, phrase, { ...quick, mode });
    assert.equal(Math.min(...result.map), 0, mode);
    assert.equal(Math.max(...result.map), 1, mode);
    assert.ok(result.regions.length > 0, mode);
  }
});

test("modes without the image give the same map for every image, the others do not", async () => {
  for (const [mode, same] of [["cfg", true], ["text", true], ["gt1", false]] as const) {
    const [a, b] = await pipeline.groundMany([{ film, phrase }, { film: other, phrase }], { ...quick, mode, merge: "none" });
    assert.equal(a.map.every((value, i) => value === b.map[i]), same, mode);
  }
});

test("per-word maps come for every word; a stream ends with the result", async () => {
  const result = await pipeline.ground(film, phrase, { ...quick, perWord: true, merge: "none" });
  assert.deepEqual(result.words.map(({ text }) => text), phrase.split(" "));
  const maps: Float32Array[] = [];
  for await (const { map } of pipeline.groundStream(film, phrase, { ...quick, batch: 1, merge: "none" })) maps.push(map);
  assert.equal(maps.length, 3);
  assert.deepEqual(maps[2], (await pipeline.ground(film, phrase, { ...quick, merge: "none" })).map);
});

test("leaving a stream early stops the work", async () => {
  const before = gpu.flopsSubmitted;
  for await (const { done } of pipeline.groundStream(film, phrase, { ...quick, steps: 50, lastSteps: 50, batch: 1, merge: "none" })) if (done === 2) break;
  const spent = gpu.flopsSubmitted - before;
  await pipeline.ground(film, phrase, { ...quick, steps: 2, lastSteps: 2, batch: 1, merge: "none" });
  assert.ok(gpu.flopsSubmitted - before < 3 * spent);
});

test("a result draws itself over its film", async () => {
  const result = await pipeline.ground(film, phrase, quick);
  const picture = result.overlay({ alpha: 0.3 });
  assert.deepEqual([picture.width, picture.height, picture.data.length], [128, 128, 128 * 128 * 4]);
});

test("the published procedure is counted at the cost of whole evaluations", async () => {
  const { cost } = await pipeline.ground(film, phrase, { ...quick, layers: [0] });
  const { cost: all } = await pipeline.ground(film, phrase, quick);
  assert.equal(cost.published.flops, all.published.flops);
});

test("a pass ends with its last captured layer", async () => {
  const options = { ...quick, merge: "none", lastSteps: 3 } as const;
  const first = await pipeline.ground(film, phrase, { ...options, layers: [0] });
  const last = await pipeline.ground(film, phrase, { ...options, layers: [3] });
  assert.ok(first.cost.flops < 0.9 * last.cost.flops);
  assert.notDeepEqual(first.map, last.map);
});

test("no memory is left behind", async () => {
  await pipeline.ground(film, phrase, quick);
  const { live } = gpu.memory();
  for (let i = 0; i < 3; i++) await pipeline.ground(film, phrase, { ...quick, perWord: true, mode: i === 0 ? "gt1" : "gt" });
  assert.equal(gpu.memory().live, live);
});

test("an interrupted grounding gives its memory back", async () => {
  const { live } = gpu.memory();
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  await assert.rejects(pipeline.ground(film, phrase, { ...quick, seed: 99, batch: 1, signal: controller.signal, onProgress }), { name: "AbortError" });
  assert.equal(gpu.memory().live, live);
});

test("settings that cannot be are refused by name", async () => {
  const refuse = (options: GroundOptions, pattern: RegExp) =>
    assert.rejects(pipeline.ground(film, phrase, options), (error: Error) => error instanceof InputError && pattern.test(error.message));
  await refuse({ steps: 0 }, /--steps: 0/);
  await refuse({ layers: [7] }, /--layers: 7/);
  await refuse({ mode: "gtx" as "gt" }, /--mode/);
  await refuse({ tokens: "disease" }, /--label/);
  await refuse({ batch: 0 }, /--batch/);
  await assert.rejects(pipeline.ground(film, "  ", quick), /--phrase: is empty/);
});
