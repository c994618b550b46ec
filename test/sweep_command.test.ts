import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test, type TestContext } from "node:test";
import { sweepCommand } from "../src/cli/sweep.ts";
import { writePhantomDataset } from "../src/data/layouts/write_phantom_node.ts";
import type { EvalRow } from "../src/eval/row.ts";
import { metricNames } from "../src/eval/row.ts";
import { evalCommand } from "../src/cli/eval.ts";
import { readMeansFile } from "../src/sweep/means_file_node.ts";
import { settingsOf, baseOf, variants } from "../src/sweep/settings.ts";
import { type SweepRow, packMetrics, rowsUnder } from "../src/sweep/sweep_row.ts";
import type { SweepConfiguration } from "../src/cli/sweep_run.ts";
import { completeGrid } from "../src/sweep/grid.ts";
import { runCli, samples, temporaryFolder } from "./cli_process.ts";
import { type Outcome, runCommand } from "./run_command.ts";
import { modelOfTwoResolutions } from "./two_resolutions.ts";

const folder = temporaryFolder();
const phantom = join(folder, "phantom");
const common = ["--model", await modelOfTwoResolutions(), "--dataset", "phantom", "--data", phantom, "--limit", "4", "--steps", "2", "--seed", "3", "--no-cache"];
const quick = [...common, "--last-steps", "1,2"];
const run = (t: TestContext, ...args: string[]): Promise<Outcome> => runCommand(t, sweepCommand(), args);
const rowsOf = <Row = SweepRow>(out: string) => readFileSync(join(out, "rows.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Row);
const table = (out: string, name: string) => readFileSync(join(out, name), "utf8").trim().split(/\r?\n/).map((line) => line.split(","));

before(() => writePhantomDataset(phantom, { seed: 3, size: 128, counts: { train: 1, validate: 0, test: 0, single: 8, pairs: 0 } }));

describe("a sweep over the phantom", () => {
  const whole = join(folder, "whole");

  test("has every sample under every setting, and tables", async (t) => {
    const { code, stdout, stderr } = await run(t, ...quick, "--out", whole, "--search", "20");
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${whole}\n`);
    assert.match(stderr, /240 settings a sample, from 1 passes/); // tokens 3, last steps 2, merges 4, layer sets 10
    const rows = rowsOf(whole);
    assert.equal(rows.length, 4);
    assert.ok(rows.every(({ metrics }) => metrics.length === 240 && metrics.every((values) => values.length === metricNames.length)));
    assert.equal(table(whole, "settings.csv").length, 241);
    assert.deepEqual([...new Set(table(whole, "variants.csv").slice(1).map(([option]) => option))], ["tokens", "merge", "last_steps", "layers"]);
    assert.deepEqual(readdirSync(whole).sort(), ["means", "rows.jsonl", "run.json", "settings.csv", "summary.json", "variants.csv"]);
  });

  test("measures a setting as eval does", async (t) => {
    const out = join(folder, "evaluated");
    const { configuration } = JSON.parse(readFileSync(join(whole, "run.json"), "utf8"));
    const coarse = String((configuration as SweepConfiguration).layers.flatMap(({ side }, layer) => (side === 8 ? [layer] : [])));
    const settings = ["--tokens", "disease", "--merge", "linear", "--last-steps", "1", "--layers", coarse];
    assert.equal((await runCommand(t, evalCommand(), [...common, ...settings, "--out", out])).code, 0);
    const index = settingsOf(configuration.grid, configuration.layers).findIndex(({ tokens, merge, lastSteps, layers }) => tokens === "disease" && merge === "linear" && lastSteps === 1 && String(layers) === coarse);
    const bySample = <R extends { sample: number }>(rows: R[]) => rows.sort((a, b) => a.sample - b.sample);
    assert.deepEqual(bySample(rowsOf(whole)).map(({ metrics }) => metrics[index]), bySample(rowsOf<EvalRow>(out)).map(({ metrics }) => packMetrics(metrics)));
  });

  test("searches the layers without the U-Net, and says how it fares on other films", async () => {
    const { search } = JSON.parse(readFileSync(join(whole, "summary.json"), "utf8"));
    assert.deepEqual([search.trials.length, search.samples.searched, search.samples.heldOut], [20, 2, 2]);
    assert.deepEqual(search.all.layers, [0, 1, 2, 3, 4, 5, 6]);
    assert.ok(search.best.searched >= search.all.searched && Number.isFinite(search.best.heldOut));
    const base = table(whole, "variants.csv").find(([option, , , , merge]) => option === "tokens" && merge === "mixture");
    assert.ok(Math.abs((search.all.searched + search.all.heldOut) / 2 - Number(base?.[8])) < 1e-5, "both halves together are all samples");
    const { means, facts } = await readMeansFile(join(whole, "means", "000000_gt_2.safetensors"));
    assert.deepEqual([means.layers.length, means.lastSteps, facts], [7, [1, 2], { width: 128, height: 128 }]);
  });

  test("which is finished does nothing more; another grid is refused", async (t) => {
    const again = await run(t, ...quick, "--out", whole, "--json");
    const { run: told, rows } = JSON.parse(again.stdout);
    assert.deepEqual([again.code, rows, told.sessions.at(-1).phrases], [0, 4, 0]);
    const other = await run(t, ...quick, "--merge", "none", "--out", whole);
    assert.equal(other.code, 2);
    assert.match(other.stderr, /run\.json: is of another run: configuration?\.?grid\.merges|grid\.merges/);
  });

  test("in shards comes to the same, and repeats nothing", async (t) => {
    const shards = [1, 2].map((i) => join(folder, `shard-${i}`));
    for (const [i, out] of shards.entries()) assert.equal((await run(t, ...quick, "--shard", `${i + 1}/2`, "--no-means", "--out", out)).code, 0);
    const out = join(folder, "merged");
    const merged = await runCli(["sweep", "merge", ...shards, "--out", out, "--json"], { cache: folder });
    assert.equal(merged.code, 0, merged.stderr);
    assert.equal(JSON.parse(merged.stdout).rows, 4);
    assert.equal(readFileSync(join(out, "settings.csv"), "utf8"), readFileSync(join(whole, "settings.csv"), "utf8"));
    assert.ok(!readdirSync(shards[0]).includes("means"));
  });
});

test("a label without words of its own ends no sweep, and is told", async (t) => {
  const table = join(folder, "labels.csv");
  writeFileSync(table, `image,phrase,label,boxes\n${join(samples, "film_05.png")},left lung nodule,Nodule,80-60-40-40\n${join(samples, "film_01.png")},enlarged cardiac silhouette,Cardiomegaly,46-51-55-51\n`);
  const out = join(folder, "labels");
  const { code, stderr } = await run(t, "--dataset", "csv", "--data", table, "--steps", "1", "--last-steps", "1", "--merge", "none", "--layers", "all", "--no-cache", "--no-means", "--out", out);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /warning: --tokens disease has no words for Nodule: all tokens are used in 1 of 2 rows\n/);
  const [nodule, heart] = rowsOf(out);
  assert.deepEqual([nodule.deviation, heart.deviation], ["Nodule has no words of its own: --tokens disease took all tokens", undefined]);
  const [, disease, all] = nodule.metrics; // lexical, disease, all
  assert.deepEqual(disease, all);
});

test("bad options are told in one line, before the model is loaded", async (t) => {
  const refused = async (pattern: RegExp, ...args: string[]) => {
    const { code, stderr } = await run(t, ...quick, "--out", join(folder, "refused"), ...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, pattern);
  };
  await refused(/--tokens: "nouns" is not one of lexical, disease, all/, "--tokens", "all,nouns");
  await refused(/--steps: 0 is not an integer/, "--steps", "0");
  await refused(/--no-means does not keep/, "--no-means", "--search", "5");
  await refused(/--search-metric .*distance.* is invalid\. Allowed choices are cnr, /, "--search-metric", "distance");
  await refused(/Give all, resolutions, single, or layers/, "--layers", "inner");
  await refused(/--layers: 7 is not an integer from 0 to 6/, "--layers", "0+7");
});

describe("settings of a grid", () => {
  const layers = [16, 8, 16].map((side) => ({ side }));

  test("the base is the default where it is there; variants differ in one option", () => {
    const grid = completeGrid({ modes: ["gt1", "gt"], steps: [5, 50], lastSteps: [10, 40], layers: ["single", "all"] }, 3);
    const settings = settingsOf(grid, layers);
    const base = baseOf(settings);
    assert.deepEqual(base, { mode: "gt", steps: 50, tokens: "lexical", merge: "mixture", lastSteps: 40, layers: "all" });
    assert.deepEqual(variants(settings, base, "layers").map((each) => each.layers), [[0], [1], [2], "all"]);
    assert.deepEqual(variants(settings, base, "steps").map(({ steps, lastSteps }) => [steps, lastSteps]), [[5, 5], [50, 40]]);
    assert.deepEqual(baseOf(settingsOf(completeGrid({ tokens: ["all"], merges: ["none"], lastSteps: [3, 7], layers: [[2, 0]] }, 3), layers)), { mode: "gt", steps: 50, tokens: "all", merge: "none", lastSteps: 3, layers: [0, 2] });
  });

  test("rows hold the metrics of every setting", () => {
    const metrics = Object.fromEntries(metricNames.map((name, i) => [name, name === "distance" ? null : (i + 1) / 3])) as EvalRow["metrics"];
    const row: SweepRow = { sample: 0, kind: "phrase", id: "a", image: "a.png", label: "Edema", phrase: "p", text: "p", metrics: [[], packMetrics(metrics)] };
    const [{ metrics: unpacked }] = rowsUnder([row], 1);
    assert.equal(unpacked.distance, null);
    assert.ok(Math.abs((unpacked.cnr as number) - 1 / 3) < 1e-7);
  });
});
