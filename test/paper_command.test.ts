import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { isStepFinished } from "../src/cli/paper_runs.ts";
import type { EvalRun } from "../src/eval/run_folder_node.ts";
import { runCli, temporaryFolder } from "./cli_process.ts";
import { changeJson } from "./golden_folders.ts";

const folder = temporaryFolder();
const out = join(folder, "paper");
/** Two films, one timestep: what is tested is the report, not the maps. */
const small = ["--films", "2", "--steps", "1", "--timesteps", "1", "--curve-films", "1", "--out", out];

describe("paper on two synthetic films", () => {
  test("goes through all steps and leaves one page with every table and figure", async () => {
    const { code, stdout, stderr } = await runCli(["paper", ...small], { cache: folder });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${join(out, "paper.html")}\n`);
    assert.equal(stderr.match(/^\$ attnscope (data|eval|sweep|generate) /gm)?.length, 1 + 1 + 4 + 1);
    const html = readFileSync(join(out, "paper.html"), "utf8");
    for (const head of ["Table 1", "Table 2", "Table 3", "Table 4", "Figure 2", "Figure 3", "Figure 4", "Figure 5", "Figure 6", "Controls", "All 2 samples"]) assert.ok(html.includes(`<h2>${head}`), head);
    assert.match(html, /not computed: give --biovil DIR/);
    assert.match(html, /Only 2 samples/);
    assert.doesNotMatch(html, /(src|href)="(?!data:|#)/, "nothing outside of the page");
    assert.doesNotMatch(html.replaceAll(/data:[^"]*/g, ""), /\bNaN\b|\bundefined\b/, "every value is there");
    assert.equal(html.match(/class="plot"/g)?.length, 4 + 4 + 2 + 5 * 2, "charts of figures 4 to 6, controls beside every figure");
    for (const id of ["table1", "table2", "table3", "table4"]) assert.ok(statSync(join(out, `${id}.csv`)).size > 200, id);
  });

  test("tells tables and orderings as JSON, measured in the folders of its steps", () => {
    const { claims, tables, controls } = JSON.parse(readFileSync(join(out, "paper.json"), "utf8"));
    const summary = JSON.parse(readFileSync(join(out, "controls", "summary.json"), "utf8")).summaries;
    assert.equal(controls[0].summary.metrics.cnr.mean, summary[0].all.metrics.cnr.mean);
    assert.equal(claims.length, 22);
    assert.ok(tables[3].rows[0].cells[2].here.mean < 1, "MS-SSIM of images that were generated now");
    const own = tables[0].rows.find(({ keys }: { keys: string[] }) => keys[0] === "all samples" && keys[1] === "this model + BBM");
    // the sweep rounds its values to seven digits
    assert.ok(Math.abs(own.cells[1].here.mean - summary[0].all.metrics.cnr.mean) < 1e-5, "table 1 and the evaluation measure the same maps");
  });

  test("a second call makes no map again", async () => {
    const rows = () => ["controls", "methods", "timesteps"].map((name) => readFileSync(join(out, name, "rows.jsonl"), "utf8"));
    const before = rows();
    const { code, stderr, stdout } = await runCli(["paper", ...small, "--json"], { cache: folder });
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { report: join(out, "paper.html"), samples: 2 });
    assert.deepEqual(rows(), before);
    assert.equal(stderr.match(/rows are there already/g)?.length, 5);
  });

  test("other settings in the same folder are refused, also where the run there left something out, and nothing is lost", async () => {
    changeJson<EvalRun>(join(out, "controls", "run.json"), (run) => ({ ...run, sessions: run.sessions.map((session) => ({ ...session, leftOut: ["a.png: no such file"] })) }));
    const { code, stderr } = await runCli(["paper", ...small, "--steps", "2"], { cache: folder });
    assert.equal(code, 2);
    assert.match(stderr, /controls\/run.json: is of another run[^\n]*\n$/, "the last line");
    assert.ok(existsSync(join(out, "paper.html")));
  });
});

test("a step that left samples out is finished by its own session alone", async () => {
  const step = join(folder, "step");
  const since = new Date();
  const at = (milliseconds: number, end: object) => {
    const sessions = [{ started: new Date(0).toISOString() }, { started: new Date(since.getTime() + milliseconds).toISOString() }];
    mkdirSync(step, { recursive: true });
    writeFileSync(join(step, "summary.json"), JSON.stringify({ run: { sessions }, ...end }));
    return isStepFinished(step, since);
  };
  assert.equal(await isStepFinished(step, since), false, "no run");
  assert.equal(await at(5, { complete: true }), true);
  assert.equal(await at(-5, { complete: true }), false, "an earlier session's results");
  assert.equal(await at(5, { complete: false, error: "interrupted" }), false);
});

test("names of encoders and ranks are checked before anything is drawn", async () => {
  for (const [option, value, expected] of [["--encoder", "GPT=dir", /one of CLIP, OpenCLIP/], ["--lora", "four=dir", /RANK=FOLDER/]] as const) {
    const { code, stderr } = await runCli(["paper", option, value, "--out", join(folder, "none")], { cache: folder });
    assert.equal(code, 2);
    assert.match(stderr, expected);
  }
  assert.ok(!existsSync(join(folder, "none")));
});
