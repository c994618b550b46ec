import assert from "node:assert/strict";
import { appendFile, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { noteMissing } from "../src/cli/eval_merge.ts";
import { InputError } from "../src/errors.ts";
import { type EvalRow, metricNames } from "../src/eval/row.ts";
import { type EvalConfiguration, type EvalSession, mergeRuns, openRunFolder } from "../src/eval/run_folder_node.ts";
import { defaultSettings } from "../src/grounding/options.ts";
import { LOCK_FILE, lockRun } from "../src/runs/run_lock_node.ts";
import { temporaryFolder } from "./weights_files.ts";

const { batch: _, perWord: __, ...settings } = defaultSettings;
const configuration: EvalConfiguration = { version: "1", model: { sha256: "ab", dtype: "f32" }, data: { dataset: "phantom", samples: 4, sha256: "cd" }, settings, controls: false };
const metrics = Object.fromEntries(metricNames.map((name) => [name, 0.5])) as EvalRow["metrics"];
const row = (sample: number): EvalRow => ({ sample, kind: "phrase", id: `é${sample}`, image: `${sample}.png`, label: "Edema", phrase: "edema", text: "edema", metrics, threshold: 0.5 });
const work = { unetEvaluations: 1, flops: 1, bytesReadBack: 1 };
const session: EvalSession = { adapter: "none", driver: "0", started: "", seconds: 1, phrases: 1, cost: { ...work, published: work }, warnings: [], leftOut: [] };

/** A folder with these rows of a run. */
async function runWith(t: TestContext, rows: readonly EvalRow[], changes: Partial<EvalConfiguration> = {}, shard?: { index: number; count: number }): Promise<string> {
  const path = join(await temporaryFolder(t), "run");
  const folder = await openRunFolder(path, { configuration: { ...configuration, ...changes }, model: "m", shards: shard ? [shard] : [] });
  await folder.append(rows);
  await folder.record(session);
  await folder.close();
  return path;
}

const reopen = (path: string, changes: Partial<EvalConfiguration> = {}) => openRunFolder(path, { configuration: { ...configuration, ...changes }, model: "m", shards: [] });
const refused = (fact: RegExp) => (error: unknown) => error instanceof InputError && fact.test(error.message) && !error.message.includes("\n");

test("a run goes on where it was; a line that was cut off is repaired", async (t) => {
  const path = await runWith(t, [row(0), row(1)]);
  const whole = await readFile(join(path, "rows.jsonl"), "utf8");
  const cut = JSON.stringify(row(2));
  for (const tail of ["", cut.slice(0, 25), cut, "\0\0\0\n"]) {
    await writeFile(join(path, "rows.jsonl"), whole + tail);
    const folder = await reopen(path);
    assert.deepEqual(folder.rows, [row(0), row(1)], JSON.stringify(tail));
    await folder.append([row(3)]);
    await folder.close();
    assert.equal(await readFile(join(path, "rows.jsonl"), "utf8"), `${whole}${JSON.stringify(row(3))}\n`);
  }
});

test("a folder has one run at a time", async (t) => {
  const path = await runWith(t, [row(0)]);
  const folder = await reopen(path);
  await assert.rejects(reopen(path), refused(/is being evaluated in by process/));
  await folder.close();
  await (await reopen(path)).close();
});

test("nothing is written any more in a folder that another process took", async (t) => {
  const path = await runWith(t, [row(0)]);
  t.mock.timers.enable({ apis: ["setInterval"] });
  const folder = await reopen(path);
  const lock = JSON.stringify({ pid: 1, host: "elsewhere", token: "of another lock" });
  await writeFile(join(path, LOCK_FILE), lock);
  const before = await Promise.all(["rows.jsonl", "run.json"].map((name) => readFile(join(path, name), "utf8")));
  const lost = new Promise((resolve) => folder.lost.addEventListener("abort", resolve));
  t.mock.timers.tick(5_000);
  await lost;
  await assert.rejects(folder.append([row(1)]), refused(/was taken by another process/));
  await assert.rejects(folder.record(session), refused(/was taken by another process/));
  await folder.close();
  assert.deepEqual(await Promise.all(["rows.jsonl", "run.json"].map((name) => readFile(join(path, name), "utf8"))), before);
  assert.equal(await readFile(join(path, LOCK_FILE), "utf8"), lock);
});

test("a row that is there twice is named", async (t) => {
  const path = await runWith(t, [row(0), row(1)]);
  await appendFile(join(path, "rows.jsonl"), `${JSON.stringify({ ...row(0), kind: "class-word" })}\n${JSON.stringify(row(1))}\n`);
  await assert.rejects(reopen(path), refused(/rows\.jsonl:4: has the row of line 2 again \(sample 1, phrase\); remove one/));
});

test("every session is told, also one that was killed", async (t) => {
  const path = await runWith(t, [row(0)]);
  const folder = await reopen(path);
  await folder.record({ ...session, phrases: 0 });
  await folder.close();
  const again = await reopen(path);
  const { sessions } = await again.record({ ...session, phrases: 2 });
  await again.close();
  assert.deepEqual(sessions.map(({ phrases }) => phrases), [1, 0, 2]);
  assert.deepEqual(JSON.parse(await readFile(join(path, "run.json"), "utf8")).sessions, sessions);
});

test("a folder of other settings is refused, and nothing in it changes", async (t) => {
  const path = await runWith(t, [row(0)]);
  const before = await readFile(join(path, "run.json"), "utf8");
  await assert.rejects(reopen(path, { settings: { ...settings, steps: 10 } }), refused(/run\.json: is of another run: settings\.steps is 50 there and 10 here; give/));
  await assert.rejects(reopen(path, { model: { sha256: "ef", dtype: "f32" } }), refused(/model\.sha256 is "ab" there and "ef" here/));
  await assert.rejects(reopen(path, { limit: 3 }), refused(/limit is absent there and 3 here/));
  assert.equal(await readFile(join(path, "run.json"), "utf8"), before);
});

test("a damaged line is named; rows of an unknown run are not touched", async (t) => {
  const path = await runWith(t, [row(0)]);
  await appendFile(join(path, "rows.jsonl"), `garbage\n${JSON.stringify(row(1))}\n`);
  await assert.rejects(reopen(path), refused(/rows\.jsonl:2: is no row of an evaluation/));
  await rm(join(path, "run.json"));
  await writeFile(join(path, "rows.jsonl"), "");
  await assert.rejects(reopen(path), refused(/rows of an unknown run/));
});

test("shards are joined", async (t) => {
  const parts = [await runWith(t, [row(2), row(0)], {}, { index: 1, count: 2 }), await runWith(t, [row(1), row(3)], {}, { index: 2, count: 2 })];
  const out = join(await temporaryFolder(t), "whole");
  const { run, rows } = await mergeRuns(parts, out);
  assert.deepEqual(rows.map(({ sample }) => sample), [2, 0, 1, 3]);
  assert.deepEqual(run.shards, [{ index: 1, count: 2 }, { index: 2, count: 2 }]);
  assert.equal(run.sessions.length, 2);
  const folder = await openRunFolder(out, { configuration, model: "m", shards: run.shards });
  assert.deepEqual(folder.rows, rows);
  await folder.close();
});

test("what does not belong together is not joined, and nothing is written", async (t) => {
  const [first, same, other] = [await runWith(t, [row(0)]), await runWith(t, [row(1), row(0)]), await runWith(t, [row(1)], { settings: { ...settings, merge: "none" } })];
  const folder = await temporaryFolder(t);
  const out = join(folder, "whole");
  await assert.rejects(mergeRuns([first, same], out), refused(/has sample 0 \(0\.png: "edema"\), which .* has too/));
  await assert.rejects(mergeRuns([first, other], out), refused(/settings\.merge is "mixture" there and "none" here/));
  await assert.rejects(mergeRuns([first, folder], out), refused(/holds no run/));
  assert.deepEqual(await readdir(folder), []);
  await assert.rejects(mergeRuns([first], first), refused(/holds a run already/));
});

test("a shard that is still worked on is not joined, nor into a folder that is", async (t) => {
  const path = await runWith(t, [row(0)]);
  const out = join(await temporaryFolder(t), "whole");
  const working = await reopen(path);
  await assert.rejects(mergeRuns([path], out), refused(/is still worked on by process .*; join the shards when it has ended/));
  await working.close();
  const unlock = await lockRun(out);
  await assert.rejects(mergeRuns([path], out), refused(/is being joined in by process/));
  await unlock();
  await mergeRuns([path], out);
  assert.deepEqual((await readdir(out)).sort(), ["rows.jsonl", "run.json"]);
});

test("what a joined run lacks is told by its reason", (t) => {
  const told = t.mock.method(process.stderr, "write", () => true);
  const run = { configuration, model: "m", shards: [{ index: 1, count: 3 }], sessions: [session] };
  const whole = { ...run, shards: [] };
  noteMissing(run, [row(0)]);
  noteMissing({ ...whole, sessions: [{ ...session, leftOut: ["3.png: no such file"] }] }, [row(0), row(1)]);
  noteMissing(whole, [row(0)]);
  noteMissing(whole, [0, 1, 2, 3].map(row));
  told.mock.restore();
  assert.deepEqual(told.mock.calls.map((call) => String(call.arguments[0])), [
    "note: 1 of 4 samples are there: of 3 shards, 2, 3 are missing\n",
    "note: 2 of 4 samples are there: run.json names what was left out\n",
    "note: 1 of 4 samples are there: a shard is not finished\n",
  ]);
});
