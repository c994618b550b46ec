import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { readFilm } from "../src/data/decode_node.ts";
import type { DataSample } from "../src/data/layouts/layout.ts";
import { openDataset } from "../src/data/layouts/open_node.ts";
import type { PhantomRecord } from "../src/data/layouts/phantom_record.ts";
import { readPhantomRecords } from "../src/data/layouts/read_phantom_node.ts";
import { writePhantomDataset } from "../src/data/layouts/write_phantom_node.ts";
import { drawPhantomFilm } from "../src/data/phantom/film.ts";
import { InputError } from "../src/errors.ts";
import { temporaryFolder } from "./weights_files.ts";

const plan = { seed: 21, size: 64, counts: { train: 40, validate: 8, test: 8, single: 16, pairs: 8 } };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Every file of a folder, by path. */
async function readTree(folder: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
  return new Map(await Promise.all(paths.map(async (path) => [path.slice(folder.length), await readFile(path)] as const)));
}

test("the MIMIC-CXR-JPG layout gives back films, captions, labels and splits", async (t) => {
  const folder = await temporaryFolder(t);
  const summary = await writePhantomDataset(folder, plan);
  assert.deepEqual([summary.films, summary.drawn], [80, 80]);
  const mimic = join(folder, "mimic-cxr-jpg");
  const samples = await collect(await openDataset(mimic));
  const splits = (["train", "validate", "test"] as const).map((split) => samples.filter((sample) => sample.split === split).length);
  assert.deepEqual(splits, [40, 8, 8]);
  assert.deepEqual(await collect(await openDataset(mimic, { split: "validate" })), samples.slice(40, 48));
  const records = await collect<PhantomRecord>(readPhantomRecords(mimic));
  assert.equal(records.length, samples.length);
  for (const [i, sample] of samples.entries()) {
    const { id, set, index, caption, findings } = records[i];
    const film = drawPhantomFilm(plan.seed, set, index, plan.size);
    assert.deepEqual({ id: sample.id, caption: sample.caption, line: sample.line, boxes: sample.boxes }, { id, caption, line: i + 2, boxes: [] });
    assert.equal(sample.label, film.findings.map(({ label }) => label).join("|") || "No Finding");
    assert.deepEqual({ caption, findings }, { caption: film.caption, findings: film.findings });
    if (i % 10 === 0) assert.deepEqual((await readFilm(sample.imagePath)).data, film.pixels);
  }
});

test("the MS-CXR layout gives back phrases and boxes, one row a box", async (t) => {
  const folder = await temporaryFolder(t);
  await writePhantomDataset(folder, plan);
  for (const [name, set] of [["ms-cxr", "single"], ["ms-cxr-pairs", "pairs"]] as const) {
    const samples = await collect<DataSample>(await openDataset(join(folder, name)));
    const expected = Array.from({ length: plan.counts[set] }, (_, index) => drawPhantomFilm(plan.seed, set, index, plan.size)).flatMap(({ findings }) => findings);
    const told = samples.map(({ caption, label, boxes, split, statedSize }) => ({ caption, label, boxes, split, statedSize }));
    assert.deepEqual(told, expected.map(({ phrase, label, boxes }) => ({ caption: phrase, label, boxes, split: "test", statedSize: [64, 64] })));
    const rows = (await readFile(join(folder, name, "MS_CXR_Local_Alignment_v1.0.0.csv"), "utf8")).trim().split("\n");
    assert.equal(rows.length - 1, expected.flatMap(({ boxes }) => boxes).length);
    const coco = JSON.parse(await readFile(join(folder, name, "MS_CXR_Local_Alignment_v1.0.0.json"), "utf8"));
    assert.equal(coco.images.length, plan.counts[set]);
    const joined = coco.annotations.map((annotation: { image_id: number; category_id: number; label_text: string; bbox: number[] }) => ({
      path: coco.images.find(({ id }: { id: number }) => id === annotation.image_id).path,
      category: coco.categories.find(({ id }: { id: number }) => id === annotation.category_id).name,
      text: annotation.label_text,
      box: annotation.bbox,
    }));
    const toPath = (path: string) => path.slice(join(folder, name).length + 1).replaceAll("\\", "/");
    const flat = samples.flatMap(({ imagePath, label, caption, boxes }) => boxes.map((box) => ({ path: toPath(imagePath), category: label, text: caption, box: [...box] })));
    assert.deepEqual(joined, flat);
  }
});

test("a run that was interrupted goes on and ends with the same files", async (t) => {
  const whole = await temporaryFolder(t);
  await writePhantomDataset(whole, plan);
  const halted = await temporaryFolder(t);
  for (const films of [20, 45, 56, 70]) {
    const controller = new AbortController();
    const onProgress = (_: string, done: number) => {
      if (done >= films) controller.abort();
    };
    await assert.rejects(writePhantomDataset(halted, plan, { signal: controller.signal, onProgress }), { name: "AbortError" });
    const names = [...(await readTree(halted)).keys()];
    assert.ok(names.every((name) => !name.endsWith(".tmp")), "a half file is left");
    assert.ok(names.every((name) => !name.endsWith(".csv")), "a table is there before its films");
  }
  await writeFile(join(halted, "mimic-cxr-jpg/files/p10/phantom-21-train-000001.png.1.tmp"), "left by a process that was killed");
  const { drawn } = await writePhantomDataset(halted, plan);
  assert.ok(drawn < 80, `${drawn} films were drawn again`);
  assert.deepEqual(await readTree(halted), await readTree(whole));
  assert.equal((await writePhantomDataset(halted, plan)).drawn, 0);
});

test("a film that was cut off is drawn anew", async (t) => {
  const folder = await temporaryFolder(t);
  const controller = new AbortController();
  await assert.rejects(writePhantomDataset(folder, plan, { signal: controller.signal, onProgress: () => controller.abort() }), { name: "AbortError" });
  const film = join(folder, "mimic-cxr-jpg/files/p10/phantom-21-train-000003.png");
  const bytes = await readFile(film);
  await writeFile(film, bytes.subarray(0, 100)); // as a machine that loses power may leave it
  await writePhantomDataset(folder, plan);
  assert.deepEqual(await readFile(film), bytes);
});

test("a folder of something else is left alone", async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "notes.txt"), "mine");
  await assert.rejects(writePhantomDataset(folder, plan), (error) => error instanceof InputError && /not empty.*notes\.txt/.test(error.message));
  await rm(join(folder, "notes.txt"));
  const small = { ...plan, counts: { train: 1, validate: 0, test: 0, single: 0, pairs: 0 } };
  await writePhantomDataset(folder, small);
  await assert.rejects(writePhantomDataset(folder, { ...small, seed: 22 }), (error) => error instanceof InputError && /another seed/.test(error.message));
  await assert.rejects(writePhantomDataset(folder, plan), (error) => error instanceof InputError && /another counts/.test(error.message));
});

test("a size that cannot be drawn leaves no folder behind", async (t) => {
  const folder = join(await temporaryFolder(t), "new");
  await assert.rejects(writePhantomDataset(folder, { ...plan, size: 5 }), (error) => error instanceof InputError && /size: 5/.test(error.message));
  await assert.rejects(readdir(folder), { code: "ENOENT" });
});
