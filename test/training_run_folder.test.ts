import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, readdirSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
// Through the doors of the package: what its users train with.
import { InputError, LOCK_FILE, METRICS_FILE, type RunResult, lockRun, openMetrics, readMetrics, runTraining } from "../src/node.ts";
import { type Recipe, type StepRecord, initialWeights } from "../src/training.ts";
import { temporaryFolder } from "./cli_process.ts";
import { toyModel, toyPlace, toyRecipe, toyTask } from "./training_run.ts";

const gpu = await testGpu();

// --- metrics.csv -----------------------------------------------------------------------------------------------------

const record = (step: number, changes: Partial<StepRecord> = {}): StepRecord => ({
  step, loss: 1 / 3, learningRate: 1e-5, emaDecay: 0.1, gradientNorm: 0.7, lossScale: 1, skippedSteps: 0, seconds: 0.25, samplesPerSecond: 32, ...changes,
});

test("metrics.csv has a row a step and gives the same numbers again", async () => {
  const path = join(temporaryFolder(), "run", METRICS_FILE);
  const records = [record(1), record(2, { gradientNorm: undefined, loss: Infinity, skippedSteps: 1 }), record(3, { loss: 1.2345678901234567e-7 })];
  const file = await openMetrics(path, 0);
  for (const each of records) await file.append(each);
  await file.close();
  assert.deepEqual(await readMetrics(path), records);
  const [head, first] = readFileSync(path, "utf8").split("\n");
  assert.equal(head, "step,loss,learning_rate,gradient_norm,loss_scale,skipped_steps,ema_decay,seconds,samples_per_second");
  assert.equal(first, "1,0.3333333333333333,0.00001,0.7,1,0,0.1,0.25,32");
  assert.deepEqual(await readMetrics(join(path, "..", "nowhere.csv")), []);
});

test("metrics go on behind the checkpoint's step; later rows and one that was cut off are gone", async () => {
  const path = join(temporaryFolder(), METRICS_FILE);
  const first = await openMetrics(path, 0);
  for (const step of [1, 2, 3]) await first.append(record(step));
  await first.close();
  appendFileSync(path, "1,0.3333,0.00");
  const second = await openMetrics(path, 2);
  assert.deepEqual(second.earlier, [record(1), record(2)]);
  await second.append(record(3, { loss: 5 }));
  await second.close();
  assert.deepEqual(await readMetrics(path), [record(1), record(2), record(3, { loss: 5 })]);
});

test("a row that was cut off in its last number is not whole", async () => {
  const path = join(temporaryFolder(), METRICS_FILE);
  const first = await openMetrics(path, 0);
  for (const step of [1, 2]) await first.append(record(step, { samplesPerSecond: 123.45 }));
  await first.close();
  truncateSync(path, statSync(path).size - 3); // of "…,123.45\n" "…,123." is left
  const second = await openMetrics(path, 2);
  await second.close();
  assert.deepEqual(second.earlier, [record(1, { samplesPerSecond: 123.45 })]);
});

test("metrics that cannot be read are left as they are, and named", async () => {
  const folder = temporaryFolder();
  const path = join(folder, METRICS_FILE);
  writeFileSync(path, 'step,loss\n1,"0.5\n2,0.4\n');
  await assert.rejects(openMetrics(path, 2), (error) => error instanceof InputError && /metrics.csv: is not a table \(.*\); put a copy/.test(error.message));
  assert.equal(readFileSync(path, "utf8"), 'step,loss\n1,"0.5\n2,0.4\n');
  await assert.rejects(openMetrics(folder, 2), (error) => error instanceof InputError && /cannot be read \(EISDIR\)/.test(error.message));
});

// --- the lock --------------------------------------------------------------------------------------------------------

const lockOf = (pid: number, host = hostname()) => JSON.stringify({ pid, host, token: "of another lock" });
/** The number of a process that has ended. */
const deadProcess = () => spawnSync(process.execPath, ["-e", ""]).pid as number;

test("a folder is locked until the run ends", async () => {
  const folder = join(temporaryFolder(), "run");
  const unlock = await lockRun(folder);
  await assert.rejects(lockRun(folder), (error) => error instanceof InputError && error.message.includes(`is being trained in by process ${process.pid} on ${hostname()}`));
  await unlock();
  assert.deepEqual(readdirSync(folder), []);
  await (await lockRun(folder))();
});

test("locks of processes that live are kept, wherever they run; those of dead ones and of silent ones elsewhere are void", async () => {
  const minutesAgo = new Date(Date.now() - 5 * 60_000);
  const cases: [what: string, content: string, time: Date, isKept: boolean][] = [
    ["a process that lives", lockOf(process.ppid), new Date(), true],
    ["one on another computer", lockOf(1, "elsewhere"), new Date(), true],
    ["one that is about to write who it is", "", new Date(), true],
    ["a process that is gone", lockOf(deadProcess()), new Date(), false],
    ["an earlier process with this one's number", lockOf(process.pid), new Date(), false],
    ["one that is writing who it is", lockOf(1).slice(0, 8), new Date(), true],
    ["one that was cut off long ago", lockOf(1).slice(0, 8), minutesAgo, false],
    ["one that is no lock's text", "null", minutesAgo, false],
    ["a stopped process, which may go on", lockOf(process.ppid), minutesAgo, true],
    ["a silent one on another computer", lockOf(1, "elsewhere"), minutesAgo, false],
  ];
  for (const [what, content, time, isKept] of cases) {
    const folder = temporaryFolder();
    const path = join(folder, LOCK_FILE);
    writeFileSync(path, content);
    utimesSync(path, time, time);
    if (isKept) await assert.rejects(lockRun(folder), InputError, what);
    else await (await lockRun(folder))();
    assert.equal(existsSync(path), isKept, what);
  }
});

test("of many that find a void lock one takes it", async () => {
  for (let round = 0; round < 20; round++) {
    const folder = temporaryFolder();
    writeFileSync(join(folder, LOCK_FILE), lockOf(1, "elsewhere"));
    utimesSync(join(folder, LOCK_FILE), 0, 0);
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => lockRun(folder)));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    assert.deepEqual(readdirSync(folder), [LOCK_FILE]);
    for (const result of results) if (result.status === "fulfilled") await result.value();
    assert.deepEqual(readdirSync(folder), []);
  }
});

test("a lock that another process took is told of, and left to it", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const folder = temporaryFolder();
  const path = join(folder, LOCK_FILE);
  let tell: (error: InputError) => void = assert.fail;
  const lost = new Promise<InputError>((resolve) => { tell = resolve; });
  const unlock = await lockRun(folder, "trained", (error) => tell(error));
  writeFileSync(path, lockOf(1, "elsewhere"));
  t.mock.timers.tick(5_000);
  assert.match((await lost).message, /was taken by another process/);
  await unlock();
  assert.equal(readFileSync(path, "utf8"), lockOf(1, "elsewhere"));
});

// --- longer runs -----------------------------------------------------------------------------------------------------

async function runToy(out: string, recipe: Recipe, resume = true, watch: { close?: () => Promise<void>; onStep?: () => void } = {}): Promise<RunResult> {
  const toy = toyModel();
  const task = toyTask(gpu, recipe, toy);
  try {
    return await runTraining(gpu, {
      out, recipe, task, resume, about: {}, saveEvery: 3, keep: 2, divergence: 3, tell: () => undefined, onStep: watch.onStep ?? (() => undefined),
      parts: [{ place: toyPlace, model: toy.model, start: { ...initialWeights(toy.model.parameters, recipe.seed), close: watch.close } }],
    });
  } finally {
    task.free();
  }
}

test("a run at a constant rate can be made longer, to the bits of one that was so from the start; with a cosine it cannot", async () => {
  const constant = (maxSteps: number): Recipe => ({ ...toyRecipe(maxSteps), schedule: "constant" });
  const [longer, whole, cosine] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
  await runToy(longer, constant(4));
  assert.deepEqual([(await runToy(longer, constant(8))).steps, (await runToy(whole, constant(8))).steps], [8, 8]);
  for (const file of ["toy/model.safetensors", "optimizer.safetensors"]) {
    assert.ok(readFileSync(join(longer, "checkpoint-000008", file)).equals(readFileSync(join(whole, "checkpoint-000008", file))), file);
  }
  const ended = await runToy(longer, constant(5));
  assert.deepEqual([ended.steps, ended.last], [8, undefined]);
  await assert.rejects(runToy(longer, { ...constant(8), learningRate: 1 }), /recipe.learningRate is 0.01 there and 1 here; give/);
  await runToy(cosine, toyRecipe(4));
  await assert.rejects(runToy(cosine, toyRecipe(8)), /recipe.maxSteps is 4 there and 8 here \(the cosine ends there: only a run with --schedule constant can be made longer\)/);
});

test("the file that a run starts from is closed before its first step, and where none is taken", async () => {
  const folder = temporaryFolder();
  const events: string[] = [];
  const watch = { close: async () => void events.push("closed"), onStep: () => void events.push("step") };
  await runToy(folder, toyRecipe(2), true, watch);
  assert.deepEqual(events.slice(0, 3), ["closed", "step", "step"]);
  events.length = 0;
  await assert.rejects(runToy(folder, toyRecipe(2), false, watch), /holds a run already/);
  assert.deepEqual(events, ["closed"]);
});

test("a folder that holds a run is not begun anew, nor left locked", async () => {
  const folder = temporaryFolder();
  await runToy(folder, toyRecipe(2));
  await assert.rejects(runToy(folder, toyRecipe(2), false), /holds a run already; go on with --resume latest/);
  assert.equal(existsSync(join(folder, LOCK_FILE)), false);
});
