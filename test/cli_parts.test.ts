import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { EvaluationCount } from "../src/cli/evaluation_count.ts";
import { readFilmsFile } from "../src/cli/films_file.ts";
import { evaluationsPerMap } from "../src/cli/ground_work.ts";
import { type OutputFolder, openOutputFolder, resultName } from "../src/cli/output_folder.ts";
import { shippedModel } from "../src/cli/package.ts";
import { type Box, planPreprocess, transformBoxes } from "../src/data/preprocess.ts";
import { defaultSettings } from "../src/grounding/options.ts";
import { isOfItsKind, readSyntheticFilms } from "../src/models/model_card.ts";
import { nodePlatform } from "../src/platform_node.ts";
import { boxOnFilm, describePoint, pointOnFilm } from "../src/report/film_coordinates.ts";
import { html } from "../src/report/html.ts";
import { formatDuration } from "../src/report/numbers.ts";
import { savingsRows } from "../src/report/savings_rows.ts";
import { fileFolder } from "../src/weights/byte_source.ts";
import { temporaryFolder } from "./cli_process.ts";

describe("the output folder", () => {
  const identity = { imageSha256: "ab", phrase: "effusion" };
  const record = (of: { imageSha256: string; phrase: string }) => JSON.stringify({ image: { sha256: of.imageSha256 }, phrase: of.phrase });
  const add = async (output: OutputFolder, name: string, of = identity, text = "") => {
    const { folder } = await output.add(name, of, async (at) => {
      writeFileSync(join(at, "result.json"), record(of));
      writeFileSync(join(at, "map.npy"), text);
    });
    return folder;
  };

  test("is not there before its first result, nor after a run without one", async () => {
    const path = join(temporaryFolder(), "a", "b");
    const output = await openOutputFolder(path);
    await output.close();
    assert.equal(existsSync(join(path, "..")), false);
  });

  test("keeps what was there, and leaves nothing temporary", async () => {
    const path = temporaryFolder();
    writeFileSync(join(path, "mine.txt"), "");
    const output = await openOutputFolder(path);
    await add(output, "film__effusion");
    await output.close();
    assert.deepEqual(readdirSync(path).sort(), ["film__effusion", "mine.txt"]);
  });

  test("results of one name stay apart within a run, whatever their case", async () => {
    const output = await openOutputFolder(temporaryFolder());
    assert.equal(await add(output, "film__effusion"), "film__effusion");
    assert.equal(await add(output, "Film__effusion"), "Film__effusion-2");
    assert.equal(await add(output, "film__effusion", { ...identity, phrase: "Effusion." }), "film__effusion-3");
    await output.close();
  });

  test("the same result of an earlier run is replaced, another one is not", async () => {
    const path = temporaryFolder();
    const run = async (of: typeof identity, text: string) => {
      const output = await openOutputFolder(path);
      const folder = await add(output, "film__effusion", of, text);
      await output.close();
      return folder;
    };
    assert.equal(await run(identity, "first"), "film__effusion");
    assert.equal(await run({ ...identity, imageSha256: "cd" }, "other"), "film__effusion-2");
    assert.equal(await run(identity, "second"), "film__effusion");
    assert.equal(readFileSync(join(path, "film__effusion", "map.npy"), "utf8"), "second");
    assert.equal(readFileSync(join(path, "film__effusion-2", "map.npy"), "utf8"), "other");
  });

  test("an earlier result stays where the new one cannot take its place", async () => {
    const path = temporaryFolder();
    const output = await openOutputFolder(path);
    await add(output, "film__effusion", identity, "first");
    await output.close();
    const again = await openOutputFolder(path);
    await assert.rejects(again.add("film__effusion", identity, async (at) => rmSync(at, { recursive: true })), /film__effusion: cannot be written \(ENOENT\)/);
    await again.close();
    assert.deepEqual(readdirSync(path), ["film__effusion"]);
    assert.equal(readFileSync(join(path, "film__effusion", "map.npy"), "utf8"), "first");
  });

  test("folders of other origin, or with files added, are left alone", async () => {
    const path = temporaryFolder();
    mkdirSync(join(path, "film__effusion"));
    mkdirSync(join(path, "film__effusion-2"));
    writeFileSync(join(path, "film__effusion-2", "result.json"), record(identity));
    writeFileSync(join(path, "film__effusion-2", "notes.txt"), "mine");
    writeFileSync(join(path, "film__effusion-3"), "a file");
    const output = await openOutputFolder(path);
    assert.equal(await add(output, "film__effusion"), "film__effusion-4");
    await output.close();
    assert.equal(readFileSync(join(path, "film__effusion-2", "notes.txt"), "utf8"), "mine");
  });

  test("a result that fails on the way leaves nothing", async () => {
    const path = join(temporaryFolder(), "out");
    const output = await openOutputFolder(path);
    const failing = output.add("film__effusion", identity, async (at) => {
      writeFileSync(join(at, "map.npy"), "half");
      throw new Error("the disk is full");
    });
    await assert.rejects(failing, /the disk is full/);
    await output.close();
    assert.equal(existsSync(path), false);
  });
});

test("a result is named after image and phrase, and fits any file system", () => {
  assert.equal(resultName("some/where/film.01.png", "Left effusion."), "film.01__left-effusion");
  const long = resultName(`${"ä".repeat(100)}.png`, "word ".repeat(50));
  assert.ok(long.startsWith(`${"ä".repeat(75)}__word-word`));
  assert.ok(Buffer.byteLength(long) < 240, long);
});

describe("coordinates on the film", () => {
  for (const [width, height] of [[128, 128], [1036, 885], [256, 1024], [100, 60], [129, 512]]) {
    test(`of a ${width} x ${height} film undo its preprocessing`, () => {
      const plan = planPreprocess(width, height, 128);
      const centre: Box = [width / 2, height / 2, Math.min(width, height) / 8, Math.min(width, height) / 16];
      const [inImage] = transformBoxes([centre], plan);
      const back = boxOnFilm(inImage, plan);
      assert.ok(back.every((value, i) => Math.abs(value - centre[i]) < 1e-9), `${back} for ${centre}`);
    });
  }

  test("a box in the padding of a small film has no area, a point lies outside", () => {
    const plan = planPreprocess(64, 64, 128);
    assert.deepEqual(boxOnFilm([0, 0, 20, 20], plan), [0, 0, 0, 0]);
    assert.deepEqual(pointOnFilm({ x: 10, y: 40 }, plan), { x: -22, y: 8 });
    assert.equal(describePoint({ x: -22, y: 8 }, plan), "in the padding");
    assert.equal(describePoint({ x: 63.9, y: 8.5 }, plan), "63, 8");
  });
});

describe("a films file", () => {
  const read = (text: string) => {
    const path = join(temporaryFolder(), "films.json");
    writeFileSync(path, text);
    return readFilmsFile(path);
  };

  test("gives boxes, phrase and label", async () => {
    const [film] = await read('[{"image": "a.png", "boxes_xywh": [[1, 2, 3, 4.5]], "phrase": "effusion", "label": "Pleural Effusion", "more": 1}]');
    assert.deepEqual(film, { image: "a.png", boxes: [[1, 2, 3, 4.5]], phrase: "effusion", label: "Pleural Effusion" });
  });

  for (const [text, message] of [
    ["{", /is not JSON/],
    ["{}", /is not a list; expected/],
    ["[null]", /entry 0 names no image/],
    ['[{"image": "a.png"}]', /entry 0 \(a\.png\) has no boxes of four numbers/],
    ['[{"image": "a.png", "boxes_xywh": [[1, 2, 3]]}]', /no boxes of four numbers/],
    ['[{"image": "a.png", "boxes_xywh": [[1, 2, 0, 3]]}]', /no boxes of four numbers/],
  ] as const) {
    test(`${text} is refused`, () => assert.rejects(read(text), message));
  }
});

describe("the count of evaluations", () => {
  const film = (name: string, phrases: string[]) => ({ path: name, phrases, boxes: [] });
  const item = (path: string, phrase: string) => ({ work: { ...film(path, [phrase]), film: {} as never, sha256: "" }, phrase });

  test("by mode and merge", () => {
    const counts = (settings: Partial<typeof defaultSettings>) => evaluationsPerMap({ ...defaultSettings, ...settings });
    assert.deepEqual(counts({}), { main: 50, bias: 100 });
    assert.deepEqual(counts({ merge: "none" }), { main: 40, bias: 0 });
    assert.deepEqual(counts({ mode: "cfg" }), { main: 100, bias: 0 });
    assert.deepEqual(counts({ mode: "text", merge: "none" }), { main: 50, bias: 0 });
  });

  test("takes text biases that were cached off the total", () => {
    const settings = { ...defaultSettings, steps: 10 };
    const count = new EvaluationCount([film("a", ["x", "y"]), film("b", ["x"])], settings);
    assert.equal(count.total, 3 * 10 + 2 * 20);
    count.begin([item("a", "x"), item("a", "y")]);
    count.update({ stage: "encode", done: 1, total: 1 });
    assert.equal(count.done, 0);
    count.update({ stage: "main pass", done: 20, total: 20 });
    count.update({ stage: "text bias", done: 6, total: 20 });
    assert.equal(count.done, 26);
    count.end(40); // one of the two was cached
    assert.deepEqual([count.done, count.total], [40, 50]);
    count.begin([item("b", "x")]);
    count.end(10);
    assert.deepEqual([count.done, count.total], [50, 50]);
  });
});

test("the shipped model knows its own films from others", async () => {
  const known = await readSyntheticFilms(nodePlatform.openFolder(shippedModel));
  assert.ok(known);
  const film = { name: "", width: 128, height: 128, channels: 1 as const, data: new Uint8Array(), notes: [] };
  assert.equal(isOfItsKind(film, known), true);
  assert.equal(isOfItsKind({ ...film, width: 512, height: 512 }, known), false);
  assert.equal(isOfItsKind({ ...film, channels: 3 }, known), false);
  assert.match(known.note, /on real films mean nothing/);
});

test("a model folder's attnscope.json is read, may be absent, and is refused where it is broken", async () => {
  const read = (text?: string) => readSyntheticFilms(fileFolder("model", new Map(text === undefined ? [] : [["attnscope.json", new TextEncoder().encode(text)]])));
  for (const other of [undefined, "{}", "null"]) assert.equal(await read(other), undefined);
  await assert.rejects(read("{"), /model\/attnscope\.json: is not JSON/);
  await assert.rejects(read('{"syntheticFilms": {"side": 128, "note": "x"}}'), /model\/attnscope\.json: syntheticFilms needs side, channels and note/);
});

test("text in the report is escaped, HTML is not", () => {
  const phrase = `<script>alert("1")</script> & 'more'`;
  assert.equal(html`<p title="${phrase}">${html`<b>${1}</b>`}${[false, undefined, "&"]}</p>`.text, '<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;more&#39;"><b>1</b>&amp;</p>');
});

test("durations and savings as people say them", () => {
  assert.deepEqual([0, 9.94, 42.4, 99, 119, 3599, 7500].map(formatDuration), ["0.0 s", "9.9 s", "42 s", "99 s", "2 min", "1 h 0 min", "2 h 5 min"]);
  const rows = savingsRows({ unetEvaluations: 1500, flops: 2e12, bytesReadBack: 2048, published: { unetEvaluations: 2000, flops: 5e12, bytesReadBack: 2 ** 30 } });
  assert.deepEqual(rows.map(({ taken, published, saved }) => [taken, published, saved]), [
    ["1,500", "2,000", "25 %"],
    ["2.00 TFLOP", "5.00 TFLOP", "60 %"],
    ["2.0 KiB", "1.0 GiB", "99.99 %"],
  ]);
});
