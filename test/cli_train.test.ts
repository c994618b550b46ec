import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { shippedModel } from "../src/cli/package.ts";
import { type RunCommandOptions, checkRunOptions } from "../src/cli/train_options.ts";
import { InputError, loadPipeline, readMetrics, writePhantomDataset } from "../src/node.ts";
import { type Outcome, runCli, temporaryFolder } from "./cli_process.ts";
import { changeJson, changeValue } from "./golden_folders.ts";

const gpu = await testGpu();
const cache = temporaryFolder();
const work = temporaryFolder();
const [films, model, latents, run, trained] = ["films", "model", "latents", "run", "trained"].map((name) => join(work, name));

/** The shipped model with a U-Net that takes milliseconds a step and has no weights yet. */
function makeTinyModel(): void {
  cpSync(shippedModel, model, { recursive: true });
  rmSync(join(model, "unet", "diffusion_pytorch_model.safetensors"));
  changeJson<object>(join(model, "unet", "config.json"), (config) => ({ ...config, block_out_channels: [8, 8, 8], norm_num_groups: 4 }));
}

const attnscope = (args: readonly string[], interruptAt?: () => boolean) => runCli(args, { cache, interruptAt });
const recipe = ["--from-scratch", "--schedule", "constant", "--batch-size", "2", "--accumulation-steps", "1", "--dtype", "f32", "--warmup-steps", "2", "--learning-rate", "1e-3"];
const train = (args: readonly string[], interruptAt?: () => boolean) => attnscope(["train", "--model", model, "--data", latents, "--out", run, ...recipe, ...args], interruptAt);
const rows = () => (existsSync(join(run, "metrics.csv")) ? readFileSync(join(run, "metrics.csv"), "utf8").trim().split("\n").length - 1 : 0);
const oneLine = ({ stderr }: Outcome) => stderr.split("\n").filter((line) => line.startsWith("attnscope: "));

before(async () => {
  makeTinyModel();
  await writePhantomDataset(films, { seed: 5, size: 64, counts: { train: 4, validate: 1, test: 1, single: 2, pairs: 1 } });
  const { code, stderr } = await attnscope(["data", "precompute", join(films, "mimic-cxr-jpg"), "--model", model, "--out", latents]);
  assert.equal(code, 0, stderr);
});

describe("train", () => {
  let steps = 0;

  test("an interrupted run saves the step it was at, tells how it went, and leaves no lock: exit code 130", async () => {
    const validation = ["--validation", join(films, "ms-cxr"), "--validation-films", "2", "--validate-every", "1"];
    const { code, stderr } = await train(["--max-steps", "500", ...validation], () => rows() >= 2);
    assert.equal(code, 130, stderr);
    assert.match(stderr, /interrupted; what was finished is kept\n$/);
    steps = rows();
    assert.ok(steps >= 2 && steps < 500, `${steps} steps`);
    const checkpoint = `checkpoint-${String(steps).padStart(6, "0")}`;
    assert.deepEqual(readdirSync(run).sort(), [checkpoint, "metrics.csv", "report.html", "validation"]);
    assert.deepEqual(readdirSync(join(run, checkpoint)).sort(), ["optimizer.safetensors", "training.json", "unet", "unet_ema"]);
    const page = readFileSync(join(run, "report.html"), "utf8");
    assert.doesNotMatch(page, /<script|<link|https?:|src="(?!data:)|NaN|undefined/);
    assert.match(page, new RegExp(`step ${steps} of 500`));
    assert.ok((page.match(/<figure class="plot"/g)?.length ?? 0) >= 6);
    assert.ok((page.match(/<img src="data:image\/webp/g)?.length ?? 0) >= 2);
  });

  test("another recipe, other data, a folder that holds a run: each refused in a line that names the difference", async () => {
    const others = join(work, "other-latents");
    cpSync(latents, others, { recursive: true });
    changeJson<object>(join(others, "index.json"), (index) => ({ ...index, data: "of other films" }));
    const cases: [args: string[], message: RegExp][] = [
      [["--resume", "latest", "--text-drop", "0.5"], /checkpoint-\d+: is of another run: recipe.textDrop is 0.3 there and 0.5 here; give the same options, or another --out$/],
      [["--resume", "latest", "--data", others], /is of another run: data.latents is "[0-9a-f]{64}" there and "of other films" here/],
      [[], /run: holds a run already; go on with --resume latest, or choose another --out$/],
    ];
    for (const [args, message] of cases) {
      const outcome = await train([...args, "--max-steps", "500"]);
      assert.equal(outcome.code, 2, outcome.stderr);
      const lines = oneLine(outcome);
      assert.equal(lines.length, 1, outcome.stderr);
      assert.match(lines[0], message);
    }
    assert.equal(rows(), steps);
  });

  test("a resumed run goes on to its last step and leaves a whole model", async () => {
    const outcome = await train(["--max-steps", String(steps + 3), "--resume", "latest", "--save-model", trained, "--json"]);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.match(outcome.stderr, /^going on from .*checkpoint-\d+$/m);
    const printed = JSON.parse(outcome.stdout);
    assert.deepEqual([printed.steps, printed.last.step], [steps + 3, steps + 3]);
    const records = await readMetrics(join(run, "metrics.csv"));
    assert.deepEqual(records.map(({ step }) => step), Array.from({ length: steps + 3 }, (_, i) => i + 1));
    await loadPipeline(gpu, trained);
    assert.ok(existsSync(join(trained, "unet_ema", "diffusion_pytorch_model.safetensors")));
    const saved = readFileSync(join(trained, "unet", "diffusion_pytorch_model.safetensors"));
    assert.ok(saved.equals(readFileSync(join(printed.checkpoint, "unet", "diffusion_pytorch_model.safetensors"))));
  });

  test("another run starts from a checkpoint's weights", async () => {
    const [checkpoint] = readdirSync(run).filter((name) => name.startsWith("checkpoint-")).sort().reverse();
    const other = join(work, "started");
    // A rate of (almost) 0: the weights stay what they start from.
    const { code, stderr } = await attnscope(["train", "--model", model, "--data", latents, "--out", other, "--start-from", join(run, checkpoint),
      "--batch-size", "2", "--accumulation-steps", "1", "--dtype", "f32", "--max-steps", "1", "--weight-decay", "0"]);
    assert.equal(code, 0, stderr);
    const weights = (folder: string) => readFileSync(join(folder, "unet", "diffusion_pytorch_model.safetensors"));
    assert.ok(weights(join(other, "checkpoint-000001")).equals(weights(join(run, checkpoint))));
  });

  test("a trained LoRA is grounded with; its run does not go on over another U-Net, nor is a model with a LoRA trained", async () => {
    const [out, saved] = [join(work, "lora-run"), join(work, "lora-model")];
    const trainLora = (base: string, ...args: string[]) => attnscope(["train", "--model", base, "--data", latents, "--out", out, "--lora-rank", "2", "--dtype", "f32",
      "--batch-size", "2", "--accumulation-steps", "1", "--max-steps", "1", ...args]);
    const first = await trainLora(trained, "--save-model", saved);
    assert.equal(first.code, 0, first.stderr);
    const { ldm } = await loadPipeline(gpu, saved);
    assert.equal(ldm.lora, "unet_lora");
    ldm.free();
    const other = join(work, "other-base");
    cpSync(trained, other, { recursive: true });
    changeValue(join(other, "unet", "diffusion_pytorch_model.safetensors"), "conv_in.bias", 0, (value) => value + 1);
    for (const [base, message] of [[other, /is of another run: frozen is "[0-9a-f]{64}" there and "[0-9a-f]{64}" here/], [saved, /--model: .*lora-model has a LoRA, which a training does not build on/]] as const) {
      const outcome = await trainLora(base, "--resume", "latest");
      assert.equal(outcome.code, 2, outcome.stderr);
      assert.match(oneLine(outcome).join("\n"), message);
    }
  });

  test("a run of an autoencoder does not go on with as many other films", async () => {
    const others = join(work, "other-films");
    await writePhantomDataset(others, { seed: 6, size: 64, counts: { train: 4, validate: 1, test: 1, single: 2, pairs: 1 } });
    const trainVae = (data: string, ...args: string[]) => attnscope(["train", "vae", "--model", model, "--data", join(data, "mimic-cxr-jpg"), "--out", join(work, "vae-run"),
      "--batch-size", "1", "--accumulation-steps", "1", "--crop", "32", "--max-steps", "1", ...args]);
    const first = await trainVae(films);
    assert.equal(first.code, 0, first.stderr);
    const outcome = await trainVae(others, "--resume", "latest");
    assert.equal(outcome.code, 2, outcome.stderr);
    assert.match(oneLine(outcome).join("\n"), /is of another run: data.sha256 is "[0-9a-f]{64}" there/);
  });

  test("standardise puts weights and scaling factor in place together, with what else the folder holds", async () => {
    const standardised = join(work, "standardised");
    cpSync(shippedModel, standardised, { recursive: true });
    const vae = join(standardised, "vae");
    writeFileSync(join(vae, "notes.txt"), "mine");
    changeJson<object>(join(vae, "config.json"), (config) => ({ ...config, scaling_factor: 0.5 }));
    const places = () => [readdirSync(standardised).sort(), readdirSync(vae).sort()];
    const [before, weights] = [places(), readFileSync(join(vae, "diffusion_pytorch_model.safetensors"))];
    const { code, stderr } = await attnscope(["train", "standardise", "--model", standardised, "--data", join(films, "mimic-cxr-jpg"), "--films", "2"]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(places(), before);
    assert.equal(JSON.parse(readFileSync(join(vae, "config.json"), "utf8")).scaling_factor, 1);
    assert.ok(!readFileSync(join(vae, "diffusion_pytorch_model.safetensors")).equals(weights));
    assert.equal(readFileSync(join(vae, "notes.txt"), "utf8"), "mine");
  });

  test("train report writes the page of a run anew", async () => {
    writeFileSync(join(run, "report.html"), "");
    const { code, stdout } = await attnscope(["train", "report", run]);
    assert.deepEqual([code, stdout], [0, `${join(run, "report.html")}\n`]);
    assert.match(readFileSync(join(run, "report.html"), "utf8"), new RegExp(`step ${steps + 3} of ${steps + 3}`));
    const nothing = await attnscope(["train", "report", films]);
    assert.equal(nothing.code, 2);
    assert.match(nothing.stderr, /films: holds no steps of a training \(metrics.csv\); name the --out of attnscope train\n$/);
  });

  test("what is missing is one line, exit code 2, and leaves no folder", async () => {
    const out = join(work, "never");
    const cases: [args: string[], message: RegExp][] = [
      [["--model", join(work, "nowhere")], /nowhere\/unet\/config.json: no such file/],
      [["--data", films], /films: has no index.json; make it, or finish it, with attnscope data precompute$/],
    ];
    for (const [args, message] of cases) {
      const outcome = await train(["--out", out, ...args]);
      assert.equal(outcome.code, 2, outcome.stderr);
      assert.match(oneLine(outcome).join("\n"), message);
    }
    assert.equal(existsSync(out), false);
  });

  test("options that are out of their range are refused by name", () => {
    const sound: RunCommandOptions = { out: run, saveEvery: 1, keep: 1, divergence: 3 };
    checkRunOptions(sound);
    const cases: [change: Partial<RunCommandOptions>, message: RegExp][] = [
      [{ resume: "first" }, /^--resume: is first; the one choice is latest/],
      [{ divergence: 0.5 }, /^--divergence: 0.5 is neither 0 nor above 1/],
      [{ saveModel: `${run}/.` }, /^--save-model: .* is --out, the run's own folder; choose another/],
      [{ startFrom: run, fromScratch: true }, /^--start-from: does not go with --from-scratch; choose one/],
    ];
    for (const [change, message] of cases) assert.throws(() => checkRunOptions({ ...sound, ...change }), (error) => error instanceof InputError && message.test(error.message));
  });
});
