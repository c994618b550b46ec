import assert from "node:assert/strict";
import { test } from "node:test";
import type { DataSample } from "../src/data/layouts/layout.ts";
import { chooseSamples, planRows } from "../src/eval/plan.ts";

/** A sample of a film `image`. */
function sample(image: string, label: string, caption: string): DataSample {
  return { id: image, imagePath: `${image}.png`, label, caption, boxes: [[0, 0, 1, 1]], split: "test", line: 1 };
}

const samples = [
  sample("a", "Pleural Effusion", "left effusion|fluid on the right"),
  sample("a", "Pneumonia", "left patchy pneumonia"),
  sample("b", "Pneumonia", "right pneumonia"),
  sample("c", "Edema", "bilateral edema"),
  sample("d", "Pneumothorax", "left pneumothorax"),
  sample("e", "", "an opacity"),
];

test("a limit takes the first samples; shards part the films and leave nothing out", () => {
  assert.deepEqual(chooseSamples(samples, {}), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(chooseSamples(samples, { limit: 3 }), [0, 1, 2]);
  const shards = [1, 2, 3].map((index) => chooseSamples(samples, { shard: { index, count: 3 } }));
  assert.deepEqual(shards, [[0, 1, 4], [2, 5], [3]]);
  assert.deepEqual(chooseSamples(samples, { limit: 3, shard: { index: 2, count: 2 } }), [2]);
  assert.deepEqual(chooseSamples(samples, { limit: 2, shard: { index: 2, count: 2 } }), []);
});

test("without controls every sample has its own phrase alone", () => {
  assert.deepEqual(planRows(samples, [0], { controls: false, seed: 1 }), [{ kind: "phrase", sample: 0, text: "left effusion", label: "Pleural Effusion", truth: 0 }]);
});

test("controls: a phrase of another finding and side, the finding's name, and its map over another film", () => {
  for (let seed = 0; seed < 20; seed++) {
    const [own, wrong, name, other, ...more] = planRows(samples, [0], { controls: true, seed });
    assert.deepEqual([own.kind, wrong.kind, name.kind, other.kind, more.length], ["phrase", "wrong-phrase", "class-word", "other-film", 0]);
    // The film's own Pneumonia and the left Pneumothorax are neither wrong nor on another side.
    assert.equal(wrong.text, "bilateral edema");
    assert.equal(wrong.truth, 0);
    assert.deepEqual([name.text, name.truth], ["pleural effusion", 0]);
    assert.equal(other.text, "pleural effusion");
    assert.ok(other.truth >= 2, "the boxes of the film itself");
  }
});

test("where no other side is there, another finding serves; without a finding there is no name to ask for", () => {
  const onlyLeft = [sample("a", "Edema", "left edema"), sample("b", "Pneumonia", "left pneumonia")];
  assert.equal(planRows(onlyLeft, [0], { controls: true, seed: 1 })[1].text, "left pneumonia");
  assert.deepEqual(planRows(samples, [5], { controls: true, seed: 1 }).map(({ kind }) => kind), ["phrase", "wrong-phrase"]);
  assert.deepEqual(planRows([samples[3]], [0], { controls: true, seed: 1 }).map(({ kind }) => kind), ["phrase", "class-word"]);
});

test("a sample's controls do not depend on which others were chosen", () => {
  const all = planRows(samples, [0, 1, 2, 3, 4, 5], { controls: true, seed: 7 });
  const alone = planRows(samples, [3], { controls: true, seed: 7 });
  assert.deepEqual(all.filter((row) => row.sample === 3), alone);
  const seeds = new Set(Array.from({ length: 20 }, (_, seed) => planRows(samples, [3], { controls: true, seed })[1].text));
  assert.ok(seeds.size > 1);
});
