import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { measuredBoxes } from "../src/cli/paper_pictures.ts";
import type { DataSample } from "../src/data/layouts/layout.ts";
import { planPreprocess } from "../src/data/preprocess.ts";
import { type EvalRow, type MetricName, measureRow, metricNames } from "../src/eval/row.ts";
import { type KindSummary, summarise } from "../src/eval/summary.ts";
import { publishedMeans, publishedMeansTable, publishedRows, rowsTable, summaryTable } from "../src/eval/tables.ts";
import { truthMask } from "../src/eval/truth.ts";
import { readGolden } from "./golden.ts";
import { needsShared } from "./shared.ts";

/** A row whose metrics are all `value`, but for those given. */
function row(sample: number, label: string, value: number, more: Partial<Record<MetricName, number | null>> = {}, image = `${sample}.png`): EvalRow {
  const metrics = { ...Object.fromEntries(metricNames.map((name) => [name, value])), ...more } as EvalRow["metrics"];
  return { sample, kind: "phrase", id: String(sample), image, label, phrase: "p", text: "p", metrics, threshold: 0.5 };
}

describe("the boxes' mask", () => {
  const sum = (mask: Uint8Array) => mask.reduce((a, b) => a + b, 0);

  test("a film that fits keeps its boxes, and overlapping ones are one mask", () => {
    const mask = truthMask([[1, 2, 3, 2], [2, 3, 3, 3]], planPreprocess(8, 8, 8), "paper");
    const rows = ["00000000", "00000000", "01110000", "01111000", "00111000", "00111000", "00000000", "00000000"];
    assert.equal(mask.join(""), rows.join(""));
  });

  test("a larger film's boxes are resized and cropped with it; as published, what they touch belongs to them", () => {
    const plan = planPreprocess(32, 16, 8); // to 16 x 8, columns 4 to 11
    const paper = truthMask([[8, 4, 8, 8], [0, 0, 4, 16]], plan, "paper");
    const expected = Array.from({ length: 64 }, (_, i) => Number(i % 8 < 4 && Math.floor(i / 8) >= 2 && Math.floor(i / 8) < 6));
    assert.deepEqual([...paper], expected);
    const compat = truthMask([[8, 4, 8, 8]], plan, "compat");
    assert.ok(paper.every((value, i) => value <= compat[i]));
    assert.ok(sum(compat) > sum(paper));
  });

  test("the crop may leave nothing", () => {
    assert.equal(sum(truthMask([[0, 0, 4, 16]], planPreprocess(32, 16, 8), "paper")), 0);
  });
});

test("a control is drawn with the boxes that it was measured against, of a film with several phrases too", () => {
  const boxed = (id: string, x: number): DataSample => ({ id, imagePath: `${id}.png`, caption: "", label: "", boxes: [[x, 0, 1, 1]], split: "test", line: 2 });
  const samples = [boxed("a", 0), boxed("b", 1), boxed("b", 2), boxed("c", 3)];
  const data = { samples, imageName: ({ imagePath }: DataSample) => imagePath };
  const cases: [row: Partial<EvalRow>, sample: number, boxes: DataSample["boxes"]][] = [
    [{}, 0, samples[0].boxes], [{ boxesOf: "b.png", truth: 2 }, 2, samples[2].boxes],
    [{ boxesOf: "c.png" }, 3, samples[3].boxes], [{ boxesOf: "b.png" }, 1, []],
  ];
  for (const [row, sample, boxes] of cases) assert.deepEqual(measuredBoxes({ sample: 0, ...row }, data), { sample, boxes });
});

test("a row holds a map's metrics, or says that the crop left no box", () => {
  const sample: DataSample = { id: "a", imagePath: "x/a.png", caption: "first|second", label: "Edema", boxes: [], split: "test", line: 2 };
  const map = { map: [0, 0, 0, 1], mask: [0, 0, 0, 1], side: 2, imageSize: 2, threshold: 0.4, ssim: -0.1, s: 0 };
  const planned = { kind: "class-word", sample: 3, text: "edema", label: "Edema", truth: 4 } as const;
  const truth = { truth: Uint8Array.of(0, 0, 0, 1), boxCount: 1, image: "a.png" };
  const measured = measureRow(planned, sample, "a.png", map, { ...truth, image: "b.png" });
  const { metrics, ...facts } = measured;
  assert.deepEqual(facts, { sample: 3, kind: "class-word", id: "a", image: "a.png", label: "Edema", phrase: "first", text: "edema", boxesOf: "b.png", truth: 4, ssim: -0.1, s: 0, threshold: 0.4 });
  assert.deepEqual([metrics.top1, metrics.iou], [1, 1]);
  assert.equal(measureRow(planned, sample, "a.png", map, { ...truth, boxCount: 2 }).metrics.distance, null);
  const cropped = measureRow(planned, sample, "a.png", map, { ...truth, truth: new Uint8Array(4) });
  assert.ok(Object.values(cropped.metrics).every((value) => value === null));
  assert.match(cropped.note as string, /outside/);
});

test("goldens: rows of the reference's maps have its metrics", needsShared("goldens/ground.safetensors"), async () => {
  const { tensors, metadata } = await readGolden("goldens/ground.safetensors");
  const boxes = JSON.parse(metadata.boxes) as Record<string, [number, number, number, number][]>;
  const cases = JSON.parse(metadata.cases) as ({ image: string; phrase: string } & Record<string, Record<string, number | null>>)[];
  const columns: Record<string, MetricName> = { iou: "iou", miou: "miou", bboxiou: "boxIou", bboxmiou: "boxMiou", cnr: "cnr", aucroc: "aucRoc", top1: "top1", distance: "distance" };
  for (const [i, golden] of cases.entries()) {
    const map = { map: tensors.get(`${i}.paper.mixture`)!.data, mask: tensors.get(`${i}.mask.mixture`)!.data, side: 64, imageSize: 512, threshold: 0 };
    const sample: DataSample = { id: "", imagePath: golden.image, caption: golden.phrase, label: "", boxes: boxes[golden.image], split: "test", line: 1 };
    const planned = { kind: "phrase", sample: i, text: golden.phrase, label: "", truth: i } as const;
    const truth = truthMask(sample.boxes, planPreprocess(512, 512, 512), "paper");
    const { metrics } = measureRow(planned, sample, golden.image, map, { truth, boxCount: sample.boxes.length, image: golden.image });
    for (const [column, name] of Object.entries(columns)) {
      const expected = golden["metrics.mixture"][column];
      if (expected === null) assert.equal(metrics[name], null);
      else assert.ok(Math.abs((metrics[name] as number) - expected) < 2e-6, `${i}.${name}: ${metrics[name]}, not ${expected}`);
    }
  }
});

describe("averages", () => {
  const rows = [row(0, "Edema", 1), row(1, "Edema", 2, { distance: null }), row(2, "Edema", 6), row(3, "Pneumonia", 11)];
  const [summary] = summarise(rows);
  const mean = ({ all, weighted }: KindSummary, name: MetricName) => [all.metrics[name]?.mean, weighted.metrics[name]?.mean];

  test("by finding, over samples, and with a finding counting by the square of its size", () => {
    assert.deepEqual(summary.diseases.map(({ group, rows: count, metrics }) => [group, count, metrics.cnr?.mean]), [["Edema", 3, 3], ["Pneumonia", 1, 11]]);
    assert.deepEqual(mean(summary, "cnr"), [5, (3 * 9 + 11) / 10]);
  });

  test("a value that is not defined takes no part; where none is there is no mean", () => {
    assert.deepEqual(mean(summary, "distance"), [6, (3 * 1 + 3 * 6 + 11) / 7]);
    assert.equal(summarise([row(0, "Edema", 1, { aucRoc: null })])[0].all.metrics.aucRoc, null);
  });

  test("kinds are kept apart, in the order of the controls", () => {
    const kinds = summarise([{ ...row(0, "Edema", 1), kind: "class-word" }, ...rows]).map(({ kind, all }) => [kind, all.rows]);
    assert.deepEqual(kinds, [["phrase", 4], ["class-word", 1]]);
  });
});

describe("confidence intervals", () => {
  const many = Array.from({ length: 400 }, (_, i) => row(i, "Edema", (i * 37) % 100));

  test("are those of the mean: 1.96 standard errors to each side", () => {
    const { mean, low, high } = summarise(many)[0].all.metrics.cnr!;
    const error = Math.sqrt(many.reduce((sum, { metrics }) => sum + ((metrics.cnr as number) - mean) ** 2, 0)) / many.length;
    assert.ok(Math.abs(high - mean - 1.96 * error) < 0.25 * error, `${high - mean} and ${error}`);
    assert.ok(Math.abs(mean - low - 1.96 * error) < 0.25 * error);
  });

  test("are the same for the same seed alone", () => {
    assert.deepEqual(summarise(many, { seed: 3 }), summarise(many, { seed: 3 }));
    assert.notDeepEqual(summarise(many, { seed: 3 }), summarise(many, { seed: 4 }));
  });

  test("draw films: phrases of one film tell less than those of many", () => {
    const width = (rows: EvalRow[]) => summarise(rows)[0].all.metrics.cnr!.high - summarise(rows)[0].all.metrics.cnr!.low;
    const together = many.map((each, i) => ({ ...each, metrics: many[4 * Math.floor(i / 4)].metrics, image: `${Math.floor(i / 4)}.png` }));
    const apart = together.map((each, i) => ({ ...each, image: `${i}.png` }));
    assert.ok(width(together) > 1.6 * width(apart));
  });
});

describe("tables", () => {
  const rows = [row(0, "Edema", 1), row(1, "Edema", 2, { distance: null }), row(2, "Pneumonia", 6)];

  test("have a cell for every column, empty where there is no value", () => {
    for (const table of [rowsTable(rows), summaryTable(summarise(rows)), publishedRows(rows), publishedMeansTable(publishedMeans(rows))]) {
      for (const cells of table) assert.equal(cells.length, table[0].length);
      assert.ok(table.flat().every((cell) => cell !== undefined && !Number.isNaN(cell)));
    }
    assert.equal(rowsTable(rows)[2][rowsTable(rows)[0].indexOf("distance")], "");
  });

  test("the published ones have its columns, rows and weights", () => {
    assert.deepEqual(publishedRows(rows)[0], ["", "rel_path", "finding_labels", "iou", "miou", "bboxiou", "bboxmiou", "distance", "top1", "aucroc", "cnr"]);
    const means = publishedMeans(rows);
    assert.deepEqual(Object.keys(means), ["all", "Edema", "Pneumonia", "Weighted_Average"]);
    assert.deepEqual([means.all.cnr, means.Edema.cnr, means.Weighted_Average.cnr], [3, 1.5, (2 + 4 + 6) / 5]);
    assert.deepEqual([means.Edema.distance, means.Weighted_Average.distance], [1, (2 * 1 + 6) / 5]);
    assert.deepEqual([means.all.frequency, means.Edema.frequency, means.Weighted_Average.frequency], [5 / 3, 2, 3]);
  });
});
