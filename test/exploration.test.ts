import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { testGpu } from "../shaders-test/harness.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { type PartialMap, explore } from "../src/grounding/exploration.ts";
import { loadPipeline } from "../src/node.ts";

const gpu = await testGpu();
const folder = fileURLToPath(new URL("../weights/phantom", import.meta.url));
const pipeline = await loadPipeline(gpu, folder);
after(() => pipeline.free());
const film = await readFilm(`${folder}/samples/film_05.png`);
const phrase = "moderate pleural effusion on the left";
const settings = { steps: 4, lastSteps: 3, seed: 7, batch: 2 };

const partials: PartialMap[] = [];
const exploration = await explore(pipeline, film, phrase, { ...settings, onPartial: (partial) => partials.push(partial) });

function assertClose(a: ArrayLike<number>, b: ArrayLike<number>, most = 1e-5): void {
  assert.equal(a.length, b.length);
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i] - b[i]) <= most, `${a[i]} and ${b[i]} at ${i}`);
}

test("maps made by choice are those of a grounding with the same settings", async () => {
  for (const [choice, { seed, ...rest }] of [
    [{ lastSteps: 3, layers: "all", merge: "mixture" }, settings],
    [{ lastSteps: 2, layers: [1], merge: "linear" }, settings],
  ] as const) {
    const explored = await exploration.map(choice);
    const grounded = await pipeline.ground(film, phrase, { ...rest, seed, ...choice, perWord: true });
    assertClose(explored.map, grounded.map);
    assert.equal(explored.words.length, grounded.words.length);
    for (const [w, { map }] of grounded.words.entries()) assertClose(explored.words[w], map);
    assertClose([explored.s as number], [grounded.s as number]);
  }
});

test("another s than the similarity of the biases makes another map", async () => {
  const choice = { lastSteps: 3, layers: "all", merge: "mixture" } as const;
  const [own, comb, product] = [await exploration.map(choice), await exploration.map({ ...choice, s: 0 }), await exploration.map({ ...choice, s: 1 })];
  assertClose(comb.map, (await exploration.map({ ...choice, merge: "none" })).map);
  assert.notDeepEqual(product.map, comb.map);
  assert.equal(product.s, 1);
  assert.equal(product.ssim, own.ssim);
});

test("the standard error is that of the timesteps' mean, and there is none of one timestep", async () => {
  const single = await Promise.all([1, 2, 3].map((lastSteps) => exploration.map({ lastSteps, layers: "all", merge: "none" })));
  assert.ok(single[0].standardError.every(Number.isNaN));
  for (const { standardError } of single.slice(1)) assert.ok(standardError.every((value) => value >= 0) && standardError.some((value) => value > 0));
});

test("partial maps grow into the map of all timesteps", async () => {
  assert.deepEqual(partials.map(({ done, timesteps }) => [done, timesteps]), [[2, 1], [4, 3]]);
  const { map, standardError } = await exploration.map({ lastSteps: 3, layers: "all", merge: "none" });
  assertClose(partials[1].map, map);
  assertClose(partials[1].standardError, standardError);
});

test("free gives everything back", async () => {
  exploration.free();
  const { live } = gpu.memory();
  const another = await explore(pipeline, film, phrase, settings);
  assert.ok(gpu.memory().live > live);
  another.free();
  assert.equal(gpu.memory().live, live);
});
