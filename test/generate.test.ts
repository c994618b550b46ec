import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test, type TestContext } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { testGpu } from "../shaders-test/harness.ts";
import { generateCommand } from "../src/cli/generate.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { InputError } from "../src/errors.ts";
import type { GenerateOptions, GenerateRequest, GeneratedImage } from "../src/grounding/generate.ts";
import { loadPipeline } from "../src/node.ts";
import { LOCK_FILE } from "../src/runs/run_lock_node.ts";
import { temporaryFolder } from "./cli_process.ts";
import { type Outcome, runCommand } from "./run_command.ts";

const model = fileURLToPath(new URL("../weights/phantom", import.meta.url));
const prompt = "moderate pleural effusion on the left";
const quick = { steps: 2 };

describe("images from the pipeline", async () => {
  const gpu = await testGpu();
  const pipeline = await loadPipeline(gpu, model);
  after(() => pipeline.free());
  const make = async (requests: readonly GenerateRequest[], options: GenerateOptions = quick) => {
    const images: GeneratedImage[] = [];
    for await (const image of pipeline.generate(requests, options)) images.push(image);
    return images;
  };

  test("prompt and seed make an image, whatever is made with it", async () => {
    const requests = [{ prompt, seed: 5 }, { prompt: "cardiomegaly", seed: 5 }, { prompt, seed: 6 }];
    const together = await make(requests);
    assert.deepEqual(together.map(({ film, seed }) => [film.width, film.height, film.channels, seed]), [[128, 128, 3, 5], [128, 128, 3, 5], [128, 128, 3, 6]]);
    const [alone] = await make([requests[2]], { ...quick, batch: 1 });
    assert.deepEqual(alone.film.data, together[2].film.data);
    assert.notDeepEqual(together[0].film.data, together[2].film.data, "another seed");
    assert.notDeepEqual(together[0].film.data, together[1].film.data, "another prompt");
    assert.ok(new Set(alone.film.data).size > 50, "grey levels of a picture");
  });

  test("guidance matters; without it the unconditional branch is left out", async () => {
    const spent = async (guidance: number) => {
      const before = gpu.flopsSubmitted;
      const [{ film }] = await make([{ prompt, seed: 1 }], { ...quick, guidance });
      return { film, flops: gpu.flopsSubmitted - before };
    };
    const [plain, guided] = [await spent(1), await spent(7.5)];
    assert.notDeepEqual(plain.film.data, guided.film.data);
    assert.ok(plain.flops < 0.8 * guided.flops);
  });

  test("its attention is the text bias of the same seed", async () => {
    const [{ attention, overlay }] = await make([{ prompt, seed: 9 }], { ...quick, guidance: 16, perWord: true });
    const film = await readFilm(`${model}/samples/film_05.png`);
    const grounded = await pipeline.ground(film, prompt, { mode: "cfg", steps: 2, lastSteps: 2, merge: "none", perWord: true, seed: 9 });
    assert.deepEqual(attention?.map, grounded.map);
    assert.deepEqual(attention?.words, grounded.words);
    const picture = overlay(attention!.words[0].map);
    assert.deepEqual([picture.width, picture.height], [128, 128]);
  });

  test("what cannot be used is refused by name; nothing is left behind", async () => {
    await make([{ prompt, seed: 1 }], { ...quick, perWord: true });
    const { live } = gpu.memory();
    await assert.rejects(make([{ prompt: " | x", seed: 1 }]), (error: Error) => error instanceof InputError && /--prompt: is empty/.test(error.message));
    await assert.rejects(make([{ prompt, seed: -1 }]), /--seed: -1/);
    await assert.rejects(make([{ prompt, seed: 1 }], { steps: 0 }), /--steps: 0/);
    for await (const _ of pipeline.generate([{ prompt, seed: 1 }, { prompt, seed: 2 }], quick)) break;
    const controller = new AbortController();
    await assert.rejects(make([{ prompt, seed: 3 }], { steps: 5, signal: controller.signal, onProgress: () => controller.abort() }), { name: "AbortError" });
    assert.equal(gpu.memory().live, live);
  });
});

describe("the command", () => {
  const folder = temporaryFolder();
  const out = join(folder, "out");
  const run = (t: TestContext, ...args: string[]): Promise<Outcome> => runCommand(t, generateCommand(), ["--steps", "2", ...args]);

  test("writes images, overlays and a table", async (t) => {
    const { code, stdout, stderr } = await run(t, "--prompt", "Cardiomegaly.", prompt, "--count", "2", "--seed", "7", "--per-word", "--out", out);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${out}\n`);
    const files = ["cardiomegaly/7.png", "cardiomegaly/8.png", "moderate-pleural-effusion-on-the-left/10.png", "moderate-pleural-effusion-on-the-left/9.png"];
    for (const kind of ["images", "attention", "words"]) assert.deepEqual(readdirSync(join(out, kind), { recursive: true }).filter((name) => String(name).endsWith(".png")).sort(), files, kind);
    assert.deepEqual(readFileSync(join(out, "images.csv"), "utf8").trim().split(/\r?\n/), [
      "path,prompt,seed",
      "images/cardiomegaly/7.png,Cardiomegaly.,7",
      "images/cardiomegaly/8.png,Cardiomegaly.,8",
      `images/moderate-pleural-effusion-on-the-left/9.png,${prompt},9`,
      `images/moderate-pleural-effusion-on-the-left/10.png,${prompt},10`,
    ]);
    const film = await readFilm(join(out, "images", files[0]));
    assert.deepEqual([film.width, film.channels], [128, 3]);
  });

  test("makes only what is missing, and the same again", async (t) => {
    const [first, second] = [7, 8].map((seed) => join(out, "images", "cardiomegaly", `${seed}.png`));
    const [bytes, time] = [readFileSync(first), statSync(second).mtimeMs];
    rmSync(first);
    const { stdout } = await run(t, "--prompt", "Cardiomegaly.", "--count", "2", "--seed", "7", "--batch", "1", "--json", "--out", out);
    const { made, kept, images } = JSON.parse(stdout);
    assert.deepEqual([made, kept, images.length], [1, 1, 2]);
    assert.deepEqual(readFileSync(first), bytes);
    assert.equal(statSync(second).mtimeMs, time);
  });

  test("takes prompts and seeds from a CSV file", async (t) => {
    const [csv, of] = [join(folder, "prompts.csv"), join(folder, "of-csv")];
    writeFileSync(csv, "path,phrase,seed\na.png,\"edema, mild\",3\nb.png,no finding|nothing,44\n");
    assert.equal((await run(t, "--prompts", csv, "--out", of)).code, 0);
    assert.ok(existsSync(join(of, "images", "edema-mild", "3.png")) && existsSync(join(of, "images", "no-finding", "44.png")));
  });

  test("ends where another process has taken the folder, and writes no table there", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const taken = join(folder, "taken");
    const running = run(t, "--prompt", "edema", "--count", "200", "--batch", "1", "--out", taken);
    const images = () => (existsSync(join(taken, "images", "edema")) ? readdirSync(join(taken, "images", "edema")).length : 0);
    const hasEnded = running.then(() => true);
    while (images() === 0 && !(await Promise.race([hasEnded, setTimeout(5, false)])));
    writeFileSync(join(taken, LOCK_FILE), JSON.stringify({ pid: 1, host: "elsewhere", token: "of another lock" }));
    t.mock.timers.tick(5_000);
    const { code, stdout, stderr } = await running;
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /taken: was taken by another process/);
    assert.ok(images() < 200);
    assert.equal(existsSync(join(taken, "images.csv")), false);
  });

  test("tells bad input in one line", async (t) => {
    const refused = async (pattern: RegExp, ...args: string[]) => {
      const { code, stderr } = await run(t, ...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, pattern);
    };
    const csv = join(folder, "bad.csv");
    writeFileSync(csv, "path,label\na.png,Edema\n");
    await refused(/bad\.csv: has no column of prompts; name one of prompt, phrase/, "--prompts", csv);
    writeFileSync(csv, "prompt,seed\nedema,1\nedema,x\n");
    await refused(/bad\.csv:3: the seed "x" is not a whole number/, "--prompts", csv);
    writeFileSync(csv, "prompt,seed\nEdema,1\nedema.,1\n");
    await refused(/bad\.csv:3: "edema\." with seed 1 would have the file of "Edema"/, "--prompts", csv);
    await refused(/--prompt: is missing/);
    await refused(/generate\.json: is of another run: steps is 2 there and 3 here/, "--prompt", "edema", "--steps", "3", "--out", out);
  });
});
