import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type MetricName, type RowMetrics, metricNames } from "../src/eval/row.ts";
import { type Claim, claimSentence, judgeClaims, paperClaims, verdictOf } from "../src/paper/claims.ts";
import { lastStepsFigure, layerFigure, timestepFigure } from "../src/paper/figures.ts";
import { type MeasuredRow, type SweptRun, rowsWhere } from "../src/paper/measured.ts";
import { pairedDifference } from "../src/paper/paired.ts";
import { failuresFirst } from "../src/paper/pictures.ts";
import { encoders, publishedGroups, samplingNames, table1, table2, table3, table4 } from "../src/paper/published.ts";
import { baselineTable, csvTable, encoderTable, needs, processingTable, qualityTable } from "../src/paper/tables.ts";
import type { SweptSettings } from "../src/sweep/grid.ts";
import { settingsOf } from "../src/sweep/settings.ts";
import { needsShared, sharedPath } from "./shared.ts";

const labels = ["Edema", "Pneumothorax"];

function metricsOf(value: number): RowMetrics {
  return Object.fromEntries(metricNames.map((name) => [name, value])) as Record<MetricName, number>;
}

function measured(sample: number, value: number): MeasuredRow {
  return { sample, kind: "phrase", image: `film-${sample}`, label: labels[sample % 2], metrics: metricsOf(value) };
}

/** A sweep of some samples whose every metric has the value of its setting and sample. */
function sweptRun(samples: number, valueOf: (settings: SweptSettings, sample: number) => number, grid: Partial<Parameters<typeof settingsOf>[0]> = {}): SweptRun {
  const settings = settingsOf({
    modes: ["gt", "gt1", "cfg", "text"], steps: [4], tokens: ["lexical", "disease", "all"], merges: ["mixture", "linear", "quadratic", "none"],
    lastSteps: [4], layers: ["all"], guidance: 16, seed: 1, reading: "paper", ...grid,
  }, [{ side: 8 }, { side: 4 }]);
  const rows = Array.from({ length: samples }, (_, sample) => ({
    sample, kind: "phrase" as const, id: `${sample}`, image: `film-${sample}`, label: labels[sample % 2], phrase: "edema", text: "edema",
    metrics: settings.map((each) => metricNames.map(() => valueOf(each, sample))),
  }));
  return { settings, rows };
}

describe("paired differences", () => {
  test("are those of the same sample, however far apart samples lie", () => {
    const wide = Array.from({ length: 40 }, (_, sample) => measured(sample, 10 * Math.sin(sample)));
    const better = wide.map((row) => ({ ...row, metrics: metricsOf((row.metrics.cnr as number) + 0.1 + 0.01 * (row.sample % 3)) }));
    const { all, diseases } = pairedDifference(better.toReversed(), wide) as NonNullable<ReturnType<typeof pairedDifference>>;
    const { mean, low, high } = all.metrics.cnr as NonNullable<(typeof all.metrics)["cnr"]>;
    assert.ok(Math.abs(mean - 0.11) < 1e-3 && low > 0.1 && high < 0.12, `${mean} [${low}, ${high}]`);
    assert.deepEqual(diseases.map(({ group, rows }) => [group, rows]), [["Edema", 20], ["Pneumothorax", 20]]);
  });

  test("are of the samples and metrics that both have", () => {
    const a = [0, 1, 2].map((sample) => measured(sample, 1));
    const b = [{ ...measured(1, 0), metrics: { ...metricsOf(0), distance: null } }, measured(2, 0), measured(3, 0)];
    const all = pairedDifference(a, b)?.all;
    assert.equal(all?.rows, 2);
    assert.equal(all?.metrics.distance?.mean, 1);
    assert.equal(pairedDifference(a, [measured(9, 0)]), undefined);
  });
});

describe("orderings", () => {
  test("are judged by the sign of the whole interval", () => {
    const of = (low: number, high: number) => ({ mean: (low + high) / 2, low, high });
    assert.deepEqual([of(0.1, 0.2), of(-0.1, 0.2), of(-0.2, -0.1)].map((each) => verdictOf(each, 1)), ["agrees", "open", "disagrees"]);
    assert.deepEqual([of(0.1, 0.2), of(-0.2, -0.1)].map((each) => verdictOf(each, -1)), ["disagrees", "agrees"]);
    assert.deepEqual([of(-0.1, 0.1), of(0.1, 0.2)].map((each) => verdictOf(each, 0)), ["agrees", "disagrees"]);
  });

  test("every one of the paper's is judged, in words that say where the data disagree", () => {
    // better than all others: GT before merging; so the paper's gain by merging is not there
    const run = sweptRun(30, ({ mode, tokens, merge }, sample) => sample / 10 + Number(mode === "gt") + Number(tokens === "lexical") / 2 + Number(merge === "none") / 4);
    const judged = judgeClaims(run, paperClaims, { resamples: 50 });
    assert.equal(judged.length, 3 * 4 + 3 * 2 + 2 * 2);
    const named = (first: string, second: string) => judged.find((claim) => claim.first.name === first && claim.second.name === second && claim.metric === "cnr") as (typeof judged)[number];
    assert.equal(named("GT + CFG", "Text").verdict, "agrees");
    const merged = named("Mixture Bézier", "Lexical filtering");
    assert.deepEqual([merged.verdict, merged.against.map(({ label }) => label)], ["disagrees", labels]);
    assert.match(claimSentence(merged), /^Mixture Bézier against Lexical filtering: CNR 2.950 against 3.200, difference −0.250 \[−0.250, −0.250\]. This disagrees with the paper \(1.310 against 1.240\); against it: Edema −0.250, Pneumothorax −0.250.$/);
    // the paper has the same CNR for both
    assert.equal(named("Mixture Bézier", "Linear Bézier").verdict, "agrees");
    assert.match(claimSentence(named("Lexical filtering", "All tokens")), /agrees with the paper \(the first better, without numbers\)/);
  });

  test("a method that was not swept is named", () => {
    const claim: Claim = { first: { name: "a", settings: { mode: "gt" } }, second: { name: "b", settings: { steps: 7 } }, metric: "cnr", where: "" };
    assert.throws(() => judgeClaims(sweptRun(2, () => 1), [claim]), /no setting was swept with steps 7/);
  });
});

describe("tables", () => {
  const run = sweptRun(4, ({ merge }, sample) => sample + Number(merge === "none"));
  const missing = { bioVil: needs("--biovil DIR"), bioVilL: needs("--biovil-l DIR"), clip: needs("--encoder CLIP=DIR") };

  test("1: ours beside the paper's; what has no weights says what to give, and keeps its lines", () => {
    const { rows } = baselineTable(run, missing);
    const line = (method: string, group: string) => rows.find(({ keys }) => keys[0] === group && keys[1] === method);
    assert.deepEqual(line("BioViL", "Edema"), { keys: ["Edema", "BioViL"], samples: 0, cells: [{ here: { missing: "not computed: give --biovil DIR" }, paper: [0.281] }, { here: { missing: "not computed: give --biovil DIR" }, paper: [0.93, 0.03] }] });
    const own = line("this model", "Edema");
    assert.deepEqual([own?.samples, own?.cells[1].paper, (own?.cells[1].here as { mean: number }).mean], [2, [1.35, 0.01], (1 + 3) / 2]);
    assert.deepEqual(line("this model", "Pneumonia")?.cells[0], { here: { missing: "no such sample" }, paper: [0.53, 0] });
    assert.equal((line("this model + BBM", "Weighted Avg.")?.cells[0].here as { mean: number }).mean, 1.5);
    assert.equal(rows.length, 5 * publishedGroups.length + 2, "and all samples where there are any");
  });

  test("2: a line a mode and encoder; another model's sweep fills its own", () => {
    const { rows, columns } = encoderTable(run, new Map([["RadBERT", sweptRun(2, ({ mode }) => Number(mode === "cfg"), { tokens: ["lexical"], merges: ["none"] })]]));
    assert.deepEqual(columns, ["mIoU", "Top-1", "AUC-ROC", "CNR"]);
    assert.equal(rows.length, 4 * encoders.length);
    const cells = (sampling: string, model: string) => rows.find(({ keys }) => keys[0] === sampling && keys[1].includes(model))?.cells;
    assert.deepEqual(cells("CFG", "RadBERT")?.[3], { here: { mean: 1, low: 1, high: 1 }, paper: [0.4558] });
    assert.deepEqual(cells("Text", "OpenCLIP")?.[3].here, { missing: "not computed: give --encoder OpenCLIP=DIR" });
    assert.deepEqual(cells(samplingNames.gt, "CXR-BERT")?.[0].paper, [0.5242]);
  });

  test("3 has all tokens besides the paper's columns", () => {
    const { rows } = processingTable(run);
    assert.equal(rows.filter(({ keys }) => keys[1] === "All tokens").every(({ cells }) => cells[0].paper === undefined), true);
  });

  test("4 wants what each value is made of", () => {
    const { rows } = qualityTable(new Map([["CXR-BERT", { images: 9, fid: 12.5, msSsim: { mean: 0.4, deviation: 0.1 } }]]), new Map([["CXR-BERT", run]]));
    assert.deepEqual(rows[0].cells.slice(0, 3).map(({ here }) => here), [{ mean: 12.5, low: 12.5, high: 12.5 }, { missing: "not computed: give --xrv FILE" }, { mean: 0.4, low: 0.4, high: 0.4 }]);
    assert.deepEqual(rows[1].cells[0].here, { missing: 'not computed: give --encoder "CLIP=DIR" and --inception FILE' });
  });

  test("as CSV, a column each for mean, interval, paper", () => {
    const [header, ...lines] = csvTable(baselineTable(run, missing));
    assert.deepEqual(header.slice(0, 6), ["finding", "method", "samples", "mIoU", "mIoU low", "mIoU high"]);
    assert.ok(lines.every(({ length }) => length === header.length));
    assert.equal(lines[0].at(-1), "not computed: give --biovil DIR");
  });
});

test("figures say in words what their curves come to", () => {
  const curve = sweptRun(6, ({ mode, steps }, sample) => sample / 10 + (mode === "gt" ? 1 - 1 / (1 + steps ** 4) : 0.5 / steps), { steps: [1, 2, 5], lastSteps: [40], tokens: ["lexical"] });
  assert.match(timestepFigure(curve).findings[0], /98 % of its greatest CNR .* from 5 timesteps on|from 2 timesteps on/);
  const last = lastStepsFigure(sweptRun(6, ({ lastSteps }) => 10 - (lastSteps - 2) ** 2, { lastSteps: [1, 2, 3, 4], modes: ["gt"], tokens: ["lexical"], merges: ["none", "mixture"] }));
  assert.match(last.findings[0], /mIoU is greatest with the last 2 of 4 timesteps; least and greatest lie 4.000 apart/);
  assert.equal(last.charts.length, 4);
});

test("figures without contrast, or without any sample, say so instead of a best value", () => {
  const grid = { steps: [1, 2], lastSteps: [1, 2], tokens: ["lexical" as const], merges: ["none" as const] };
  for (const value of [0, -1]) assert.match(timestepFigure(sweptRun(3, () => value, grid)).findings[0], /^GT \+ CFG has no positive contrast at any number of timesteps/);
  const none = sweptRun(0, () => 1, grid);
  assert.match(timestepFigure(none).findings.join(), /^GT \+ CFG has no positive contrast at any number of timesteps[^,]*$/);
  assert.deepEqual(lastStepsFigure(none).findings, []);
  assert.deepEqual(layerFigure(none, [{ side: 8 }, { side: 4 }], new Map([[4, none]])).findings, []);
  assert.doesNotMatch(String(timestepFigure(none).charts[0]), /NaN|undefined/);
  assert.deepEqual(judgeClaims(sweptRun(0, () => 1)), []);
  assert.equal(timestepFigure(sweptRun(3, ({ steps }) => (steps === 1 ? NaN : 1), grid)).findings[0].includes("from 2 timesteps on"), true, "a mean that is missing is no best one");
});

test("failures come first: peaks outside, then the least contrast", () => {
  const sample = (image: string, top1: number, cnr: number) => ({ image, phrase: "", label: "", pictures: [], merged: { ...metricsOf(0), top1, cnr }, plain: metricsOf(0) });
  const sorted = failuresFirst([sample("good", 1, 2), sample("weak", 1, 0.1), sample("outside", 0, 1), sample("worst", 0, -1)]);
  assert.deepEqual(sorted.map(({ image }) => image), ["worst", "outside", "weak", "good"]);
});

test("a setting is the paper's own unless another is wanted", () => {
  const run = sweptRun(1, ({ tokens, merge, mode }) => (mode === "gt" && tokens === "lexical" && merge === "mixture" ? 1 : 0));
  assert.equal(rowsWhere(run, {})[0].metrics.cnr, 1);
  assert.equal(rowsWhere(run, { tokens: "all" })[0].metrics.cnr, 0);
});

describe("the paper's numbers are those that it prints", needsShared("reference/paper.txt"), () => {
  const lines = () => readFileSync(sharedPath("reference/paper.txt") as string, "utf8").split("\n").map((line) => line.split("\t"));
  const names = publishedGroups.map((group) => group.replace("Pleural", "Pl."));
  const printed = (text: string) => text.split("±").map((part) => Number(part.startsWith(".") ? `0${part}` : part));
  const own = (value: readonly number[]) => [...value];

  for (const [name, table, columns] of [["1", table1, 5], ["3", table3, 5]] as const) {
    test(`table ${name}`, () => {
      for (const [g, group] of names.entries()) {
        const line = lines().filter(([first, ...rest]) => first === group && rest.length === 2 * columns)[name === "1" ? 0 : 1];
        const ours = Object.values(table).flatMap((method: readonly (readonly [readonly number[], readonly number[]])[]) => method[g].map(own));
        assert.deepEqual(ours, line.slice(1).map(printed), group);
      }
    });
  }

  test("table 2", () => {
    const rows = lines().filter((cells) => cells.length >= 5 && / \(.*20\d\d\)$/.test(cells.at(-5) as string));
    assert.deepEqual(Object.keys(samplingNames).flatMap((mode) => table2[mode as keyof typeof table2].map(own)), rows.map((cells) => cells.slice(-4).map(Number)));
  });

  test("table 4", () => {
    for (const [name, values] of Object.entries(table4)) assert.deepEqual(own(values), lines().find(([first]) => first === name)?.slice(1).map(Number), name);
  });
});
