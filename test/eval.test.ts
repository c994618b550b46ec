import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { before, describe, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { encode } from "fast-png";
import { evalCommand } from "../src/cli/eval.ts";
import { writePhantomDataset } from "../src/data/layouts/write_phantom_node.ts";
import type { EvalRow } from "../src/eval/row.ts";
import { runCli, samples, temporaryFolder } from "./cli_process.ts";
import { type Outcome, runCommand } from "./run_command.ts";
import { needsShared, sharedPath } from "./shared.ts";

const folder = temporaryFolder();
const phantom = join(folder, "phantom");
/** One timestep without text bias: what is tested is the run, not the maps. */
const quick = ["--steps", "1", "--merge", "none", "--no-cache"];
const ofPhantom = ["--dataset", "phantom", "--data", phantom, ...quick];

/** Runs `attnscope eval …` in this process. */
const run = (t: TestContext, ...args: string[]): Promise<Outcome> => runCommand(t, evalCommand(), args);

const linesOf = (out: string) => readFileSync(join(out, "rows.jsonl"), "utf8").split("\n").filter((line) => line !== "");
const rowsOf = (out: string) => linesOf(out).map((line) => JSON.parse(line) as EvalRow);
const errorsOf = ({ stderr }: Outcome) => stderr.split("\n").filter((line) => line.startsWith("attnscope:"));
const leftOut = ({ stderr }: Outcome) => stderr.split("\n").filter((line) => line.startsWith("left out:")).map((line) => line.replaceAll(folder, "DIR"));

before(async () => {
  await writePhantomDataset(phantom, { seed: 3, size: 128, counts: { train: 1, validate: 0, test: 0, single: 8, pairs: 3 } });
});

describe("a run over the phantom with its controls", () => {
  const whole = join(folder, "whole");

  test("measures every sample and control, and leaves tables", async (t) => {
    const { code, stdout, stderr } = await run(t, ...ofPhantom, "--limit", "4", "--controls", "--out", whole);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${whole}\n`);
    assert.match(stderr, /\d+ phrases in .* a minute; against the published procedure:\n {2}U-Net evaluations: \d+ instead of \d+, \d+ % saved/);
    const rows = rowsOf(whole);
    const kinds = ["phrase", "wrong-phrase", "class-word", "other-film"];
    assert.deepEqual(rows.map(({ sample, kind }) => `${sample} ${kind}`).sort(), [0, 1, 2, 3].flatMap((sample) => kinds.map((kind) => `${sample} ${kind}`)).sort());
    assert.ok(rows.every(({ metrics }) => Number.isFinite(metrics.cnr)));
    const [own, other] = ["class-word", "other-film"].map((kind) => rows.find((row) => row.kind === kind && row.sample === 0) as EvalRow);
    assert.equal(own.threshold, other.threshold, "the same map");
    assert.ok(other.boxesOf && other.boxesOf !== other.image);
    assert.ok(Number.isInteger(other.truth) && other.truth !== 0 && own.truth === undefined);
    assert.deepEqual(readdirSync(whole).sort(), ["published", "rows.csv", "rows.jsonl", "run.json", "summary.csv", "summary.json"]);
    assert.deepEqual(readdirSync(join(whole, "published")).sort(), ["bbox_results.csv", "bbox_results.json", "bbox_results_means.csv"]);
  });

  test("tells model, settings, version and device", () => {
    const { configuration, sessions, model } = JSON.parse(readFileSync(join(whole, "run.json"), "utf8"));
    assert.match(configuration.model.sha256, /^[0-9a-f]{64}$/);
    assert.deepEqual([model, configuration.settings.steps, configuration.limit, configuration.data.samples], ["phantom", 1, 4, 8]);
    assert.ok(configuration.version && sessions[0].adapter && sessions[0].driver);
    assert.deepEqual([sessions.length, sessions[0].phrases], [1, 12]);
    const { summaries } = JSON.parse(readFileSync(join(whole, "summary.json"), "utf8"));
    assert.deepEqual(summaries.map(({ kind, all }: { kind: string; all: { rows: number } }) => [kind, all.rows]), [["phrase", 4], ["wrong-phrase", 4], ["class-word", 4], ["other-film", 4]]);
  });

  test("which is finished does nothing more; other settings are refused", async (t) => {
    const before = readFileSync(join(whole, "rows.csv"), "utf8");
    const again = await run(t, ...ofPhantom, "--limit", "4", "--controls", "--out", whole, "--json");
    assert.deepEqual([again.code, JSON.parse(again.stdout).run.sessions.at(-1).phrases], [0, 0]);
    assert.equal(readFileSync(join(whole, "rows.csv"), "utf8"), before);
    const other = await run(t, ...ofPhantom, "--limit", "4", "--controls", "--seed", "5", "--out", whole);
    assert.deepEqual([other.code, errorsOf(other).length], [2, 1]);
    assert.match(other.stderr, /settings\.seed is 4200 there and 5 here/);
  });

  test("killed and started again comes to the same, and repeats nothing", async (t) => {
    const out = join(folder, "killed");
    // Small batches make many calls, so that the kill falls between two.
    const args = ["eval", ...ofPhantom, "--limit", "4", "--controls", "--batch", "1", "--out", out];
    const userCache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    const child = spawn(process.execPath, ["--import", "tsx", "src/cli/main.ts", ...args], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      env: { MESA_SHADER_CACHE_DIR: userCache, ...process.env },
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.on("close", resolve));
    const poll = setInterval(() => {
      if (existsSync(join(out, "rows.jsonl")) && linesOf(out).length > 0) child.kill("SIGKILL");
    }, 1);
    await ended;
    clearInterval(poll);
    const kept = linesOf(out);
    t.diagnostic(`${kept.length} of 16 rows were there when it was killed`);
    assert.ok(kept.length > 0 && kept.length < 16, `${kept.length}`);
    writeFileSync(join(out, "rows.jsonl"), `${kept.join("\n")}\n{"sample":2,"ki`);
    const resumed = await run(t, ...args.slice(1));
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.deepEqual(linesOf(out).slice(0, kept.length), kept);
    assert.equal(linesOf(out).length, 16);
    assert.equal(readFileSync(join(out, "rows.csv"), "utf8"), readFileSync(join(whole, "rows.csv"), "utf8"));
    const { sessions } = JSON.parse(readFileSync(join(out, "run.json"), "utf8"));
    assert.equal(sessions.length, 2);
  });

  test("in shards and joined comes to the same", async (t) => {
    const parts = [1, 2].map((part) => join(folder, `part-${part}`));
    for (const [i, out] of parts.entries()) {
      const { code, stderr } = await run(t, ...ofPhantom, "--limit", "4", "--controls", "--shard", `${i + 1}/2`, "--out", out);
      assert.equal(code, 0, stderr);
    }
    const half = await run(t, "merge", parts[0], "--out", join(folder, "half"));
    assert.match(half.stderr, /note: 2 of 4 samples are there: of 2 shards, 2 is missing\n/);
    const out = join(folder, "joined");
    const { code, stdout } = await runCli(["eval", "merge", ...parts, "--out", out], { cache: folder });
    assert.deepEqual([code, stdout], [0, `${out}\n`]);
    for (const name of ["rows.csv", "summary.csv", "published/bbox_results_means.csv"]) assert.equal(readFileSync(join(out, name), "utf8"), readFileSync(join(whole, name), "utf8"));
    const twice = await run(t, "merge", parts[0], whole, "--out", join(folder, "twice"));
    assert.deepEqual([twice.code, errorsOf(twice).length], [2, 1]);
    assert.match(twice.stderr, /has sample 0 .* which .*part-1 has too/);
  });
});

test("disease filtering takes every sample's own label, several phrases of a film together", async (t) => {
  const out = join(folder, "pairs");
  const { code, stderr } = await run(t, ...ofPhantom, "--data", join(phantom, "ms-cxr-pairs"), "--tokens", "disease", "--out", out);
  assert.equal(code, 0, stderr);
  const rows = rowsOf(out);
  assert.equal(rows.length, 6);
  assert.equal(new Set(rows.map(({ image }) => image)).size, 3);
});

test("a label that disease filtering has no words for is told in its rows, on stderr and in run.json", async (t) => {
  const out = join(folder, "labels");
  const table = join(folder, "labels.csv");
  writeFileSync(table, `image,phrase,label,boxes\n${join(samples, "film_05.png")},left lung nodule,Nodule,80-60-40-40\n${join(samples, "film_01.png")},enlarged cardiac silhouette,Cardiomegaly,46-51-55-51\n`);
  const { code, stderr } = await run(t, "--dataset", "csv", "--data", table, ...quick, "--tokens", "disease", "--out", out);
  assert.equal(code, 0, stderr);
  assert.deepEqual(rowsOf(out).map(({ label, note, deviation }) => [label, note, deviation]), [["Nodule", undefined, "Nodule has no words of its own: --tokens disease took all tokens"], ["Cardiomegaly", undefined, undefined]]);
  const warning = "--tokens disease has no words for Nodule: all tokens are used in 1 of 2 rows";
  assert.equal(stderr.split(`warning: ${warning}\n`).length, 2, stderr);
  assert.ok(JSON.parse(readFileSync(join(out, "run.json"), "utf8")).sessions[0].warnings.includes(warning));
  assert.match(readFileSync(join(out, "rows.csv"), "utf8"), /,Nodule has no words of its own: --tokens disease took all tokens\r?\n/);
});

describe("bad input: one line each, and nothing of the rest is lost", () => {
  test("before any work", async (t) => {
    const table = join(folder, "bad.csv");
    for (const text of ["image,phrase\na.png,edema\n", "image,phrase,label,boxes\na.png,edema,Tumor,1-2-3-4\n", "image,phrase,label,boxes\n", "image,phrase,label,boxes\na.png,edema,Edema,1-2-3-4\n"]) {
      writeFileSync(table, text);
      const outcome = await run(t, "--dataset", "csv", "--data", table, ...quick, "--out", join(folder, "bad"));
      assert.deepEqual([outcome.code, errorsOf(outcome).length, outcome.stdout], [2, 1, ""], outcome.stderr);
    }
    const commands = [["--data", phantom], ["--dataset", "phantom"], ["--dataset", "phantom", "--data", join(folder, "nowhere")], ["--dataset", "mimic-cxr-jpg", "--data", phantom], ["--dataset", "mimic-cxr-jpg", "--data", join(phantom, "mimic-cxr-jpg")], [...ofPhantom, "--shard", "3/2"], [...ofPhantom, "--limit", "0"], [...ofPhantom, "--shard", "9/9"], [...ofPhantom, "--layers", "99"]];
    for (const args of commands) {
      const outcome = await run(t, ...args, "--out", join(folder, "bad"));
      assert.deepEqual([outcome.code, outcome.stdout], [2, ""], args.join(" "));
    }
    assert.equal(existsSync(join(folder, "bad")), false);
  });

  test("in single samples", async (t) => {
    const films = join(folder, "films");
    mkdirSync(films);
    for (const name of ["film_01.png", "film_05.png"]) writeFileSync(join(films, name), readFileSync(join(samples, name)));
    writeFileSync(join(films, "cut.png"), readFileSync(join(samples, "film_00.png")).subarray(0, 3000));
    writeFileSync(join(films, "wide.png"), encode({ width: 300, height: 100, channels: 1, depth: 8, data: new Uint8Array(30_000).fill(90) }));
    writeFileSync(join(films, "films.csv"), [
      "image,phrase,label,boxes",
      "film_05.png,pleural effusion,Pleural Effusion,80-60-40-40",
      "film_05.png,pleural effusion,Pleural Effusion,80-60-40-40",
      "film_05.png,effusion beyond the film,Pleural Effusion,80-60-50-40",
      "film_01.png,enlarged heart,Cardiomegaly,46-51-55-51",
      "film_01.png,tumour,Tumor,46-51-55-51",
      "missing.png,edema,Edema,1-2-3-4",
      "cut.png,edema,Edema,1-2-3-4",
      "wide.png,edema,Edema,0-0-20-100",
    ].join("\n"));
    const out = join(folder, "single");
    const outcome = await run(t, "--dataset", "csv", "--data", films, ...quick, "--out", out);
    assert.equal(outcome.code, 2, outcome.stderr);
    const expected = [
      /films\.csv:3: film_05\.png with this phrase and label is there already, on line 2$/,
      /films\.csv:6: label has the unknown label "Tumor"/,
      /film_05\.png: the box 80, 60, 50, 40 \(x, y, w, h\) is not inside the image$/,
      /missing\.png: no such file/,
      /cut\.png: is a damaged or truncated PNG file/,
    ];
    const told = leftOut(outcome);
    assert.equal(told.length, expected.length, outcome.stderr);
    for (const [i, pattern] of expected.entries()) assert.match(told[i].replaceAll("\\", "/"), pattern);
    const rows = rowsOf(out);
    assert.deepEqual(rows.map(({ image, note }) => [image, note !== undefined]), [["film_05.png", false], ["film_01.png", false], ["wide.png", true]]);
    assert.match(outcome.stderr, /warning: the model was trained on synthetic films/);
    assert.equal(JSON.parse(readFileSync(join(out, "run.json"), "utf8")).sessions[0].leftOut.length, expected.length);
  });
});

test("no header value of a DICOM file is in any result", needsShared("images/rsna_512.dcm"), async (t) => {
  const table = join(folder, "dicom.csv");
  const film = sharedPath("images/rsna_512.dcm") as string;
  writeFileSync(table, `image,phrase,label,boxes\n${film},opacity,Lung Opacity,100-100-100-100\n`);
  const out = join(folder, "dicom");
  const { code, stderr } = await run(t, "--dataset", "csv", "--data", table, ...quick, "--out", out);
  assert.equal(code, 0, stderr);
  const written = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) => /\.\w+$/.test(name)).map((name) => readFileSync(join(out, name), "latin1")).join("") + stderr;
  // Identifiers of the file, which are its only texts of any length.
  const identifiers = [...readFileSync(film, "latin1").slice(0, 4000).matchAll(/[0-9a-f]{8}-[0-9a-f-]{27}|1\.2\.[0-9.]{20,}/g)].map(([text]) => text);
  assert.ok(identifiers.length > 0);
  for (const identifier of identifiers) assert.ok(!written.includes(identifier), identifier);
});
