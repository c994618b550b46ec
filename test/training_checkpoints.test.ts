import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createRandom } from "../src/random.ts";
import { InputError } from "../src/errors.ts";
import { checkSameConfiguration } from "../src/training/checkpoint.ts";
import { findLatestCheckpoint, readConfiguration, saveCheckpoint } from "../src/training/checkpoint_node.ts";
import { METRICS_FILE, readMetrics } from "../src/training/metrics_node.ts";
import { temporaryFolder } from "./cli_process.ts";

const script = fileURLToPath(new URL("training_run.ts", import.meta.url));

/** Runs the toy's training in a process of its own; `onLine` may end it. Resolves with what it printed. */
async function trainToy(folder: string, steps: number, onLine: (line: string, child: ChildProcess) => void = () => undefined): Promise<{ output: string; signal: NodeJS.Signals | null }> {
  const child = spawn(process.execPath, ["--import", "tsx", script, folder, String(steps)], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
    onLine(String(data), child);
  });
  child.stderr.on("data", (data) => { output += data; });
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => child.on("close", (_, signal) => resolve(signal)));
  return { output, signal };
}

const files = ["toy/model.safetensors", "toy_ema/model.safetensors", "optimizer.safetensors"];
/** Metrics without what differs between two runs: their times. */
const stepsOf = async (folder: string) => (await readMetrics(join(folder, METRICS_FILE))).map(({ seconds: _, samplesPerSecond: __, ...rest }) => rest);

test("a run that is killed again and again ends with the bits of one that was not", async () => {
  const steps = Number(process.env.ATTNSCOPE_KILL_STEPS ?? 60);
  const kills = Number(process.env.ATTNSCOPE_KILLS ?? 4);
  const [whole, killed] = [temporaryFolder(), temporaryFolder()];
  const undisturbed = await trainToy(whole, steps);
  assert.match(undisturbed.output, /done/);
  const random = createRandom(1);
  let killedRuns = 0;
  for (let attempt = 0; ; attempt++) {
    // Some steps further each time, and at any moment of one: in the midst of a checkpoint too.
    const [lastStep, delay] = [((attempt + 1) * steps) / (kills + 2), random.uniform(0, 20)];
    const { output, signal } = await trainToy(killed, steps, (line, child) => {
      if (attempt < kills && Number(/step (\d+)/.exec(line)?.[1]) >= lastStep) setTimeout(() => child.kill("SIGKILL"), delay);
    });
    assert.doesNotMatch(output, /damaged|Error/, output);
    if (signal === "SIGKILL") killedRuns++;
    else assert.match(output, /done/);
    if (signal !== "SIGKILL") break;
  }
  assert.equal(killedRuns, kills, "runs that were killed before their end");
  const last = `checkpoint-${String(steps).padStart(6, "0")}`;
  for (const file of files) assert.ok(readFileSync(join(whole, last, file)).equals(readFileSync(join(killed, last, file))), file);
  assert.deepEqual(await stepsOf(killed), await stepsOf(whole));
  assert.equal((await stepsOf(whole)).length, steps);
  assert.deepEqual(readdirSync(killed).sort(), readdirSync(whole).sort());
});

const configuration = { recipe: { seed: 1, betas: [0.9, 0.999] }, data: { samples: 10 } };
const output = (values: number[]) => ({ name: "w", dtype: "F32" as const, shape: [values.length], chunks: () => [new Uint8Array(Float32Array.from(values).buffer)] });
const save = (run: string, step: number, keep = 3) => saveCheckpoint(run, step, configuration, [{ path: "toy/model.safetensors", content: [output([step, 2, 3])] }, { path: "toy/config.json", content: "{}" }], keep);

test("the last checkpoints are kept, the newest is found", async () => {
  const run = temporaryFolder();
  for (const step of [1, 5, 20, 100]) await save(run, step, 2);
  assert.deepEqual(readdirSync(run).sort(), ["checkpoint-000020", "checkpoint-000100"]);
  const found = await findLatestCheckpoint(run, configuration, assert.fail);
  assert.equal(found?.step, 100);
  assert.equal(await findLatestCheckpoint(join(run, "other"), configuration, assert.fail), undefined);
  assert.deepEqual([await readConfiguration(run), await readConfiguration(join(run, "other"))], [configuration, undefined]);
});

test("damaged checkpoints are told of and passed over, whatever is damaged", async () => {
  const damages: [string, RegExp, (folder: string) => void][] = [
    ["cut off", /model.safetensors is cut off or changed/, (folder) => truncateSync(join(folder, "toy/model.safetensors"), 40)],
    ["changed", /model.safetensors is cut off or changed/, (folder) => {
      const path = join(folder, "toy/model.safetensors");
      const bytes = readFileSync(path);
      bytes[bytes.length - 1] ^= 1;
      writeFileSync(path, bytes);
    }],
    ["missing", /config.json is missing/, (folder) => rmSync(join(folder, "toy/config.json"))],
    ["manifest cut off", /training.json is missing, cut off or changed/, (folder) => truncateSync(join(folder, "training.json"), 100)],
    ["manifest changed", /training.json is missing, cut off or changed/, (folder) => writeFileSync(join(folder, "training.json"), readFileSync(join(folder, "training.json"), "utf8").replace('"seed": 1', '"seed": 2'))],
    ["manifest missing", /training.json is missing, cut off or changed/, (folder) => rmSync(join(folder, "training.json"))],
  ];
  for (const [name, fact, damage] of damages) {
    const run = temporaryFolder();
    await save(run, 1);
    damage(await save(run, 2));
    const told: string[] = [];
    const found = await findLatestCheckpoint(run, configuration, (line) => told.push(line));
    assert.equal(found?.step, 1, name);
    assert.match(told.join("\n"), fact, name);
    await save(run, 2); // takes the damaged one's place
    assert.equal((await findLatestCheckpoint(run, configuration, assert.fail))?.step, 2, name);
  }
});

test("a checkpoint that was just saved outlives damaged ones of later steps, which go", async () => {
  for (const [keep, left] of [[1, [250]], [2, [200, 250]], [5, [100, 200, 250]]] as const) {
    const run = temporaryFolder();
    for (const step of [100, 200, 300, 1000]) await save(run, step, 4);
    for (const step of ["000300", "001000"]) truncateSync(join(run, `checkpoint-${step}`, "toy/model.safetensors"), 40);
    assert.equal((await findLatestCheckpoint(run, configuration, () => undefined))?.step, 200);
    await save(run, 250, keep);
    assert.deepEqual(readdirSync(run).sort(), left.map((step) => `checkpoint-000${step}`), `keep ${keep}`);
    assert.equal((await findLatestCheckpoint(run, configuration, assert.fail))?.step, 250);
  }
});

test("a run whose checkpoints are all damaged is not begun anew", async () => {
  const run = temporaryFolder();
  for (const step of [1, 2]) truncateSync(join(await save(run, step), "training.json"), 10);
  await assert.rejects(findLatestCheckpoint(run, configuration, () => undefined), (error) => error instanceof InputError && /has checkpoints, but none that is whole/.test(error.message));
  assert.deepEqual(readdirSync(run).sort(), ["checkpoint-000001", "checkpoint-000002"]);
});

test("what a killed process had begun is removed", async () => {
  const run = temporaryFolder();
  await save(run, 1);
  writeFileSync(join(run, "checkpoint-000002.77.tmp"), "half");
  await findLatestCheckpoint(run, configuration, assert.fail);
  assert.deepEqual(readdirSync(run), ["checkpoint-000001"]);
});

test("a write that fails leaves the earlier checkpoints and nothing else", async () => {
  const run = temporaryFolder();
  await save(run, 1);
  const full = { ...output([1]), chunks: () => { throw new InputError("disk", "is full"); } };
  await assert.rejects(saveCheckpoint(run, 2, configuration, [{ path: "toy/model.safetensors", content: [full] }], 1), /is full/);
  assert.deepEqual(readdirSync(run), ["checkpoint-000001"]);
});

test("a checkpoint of another configuration names the first difference", async () => {
  const run = temporaryFolder();
  await save(run, 1);
  const other = { ...configuration, recipe: { seed: 1, betas: [0.9, 0.99] } };
  await assert.rejects(findLatestCheckpoint(run, other, assert.fail), (error) => error instanceof InputError && /recipe.betas.1 is 0.999 there and 0.99 here/.test(error.message));
  assert.throws(() => checkSameConfiguration("c", configuration, { recipe: configuration.recipe }), /data is \{"samples":10\} there and absent here/);
  checkSameConfiguration("c", configuration, { ...configuration, absent: undefined });
});
