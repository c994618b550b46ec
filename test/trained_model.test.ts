import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { shippedModel } from "../src/cli/package.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { InputError, assembleModel, checkModelPlace, loadPipeline, openModelFolder } from "../src/node.ts";
import { resultRecord } from "../src/report/result_record.ts";
import { LORA_FILE, LORA_PREFIX, attachLora, initialWeights, loraInitialValues, parameterOutputs } from "../src/training.ts";
import { loadModel } from "../src/models/load.ts";
import { normalValues } from "../src/training/initial_weights.ts";
import { writeSafetensorsFile } from "../src/weights/atomic_file_node.ts";
import { temporaryFolder } from "./cli_process.ts";

const gpu = await testGpu();
const film = await readFilm(join(shippedModel, "samples", "film_05.png"));
const quick = { steps: 2, lastSteps: 2, merge: "none" } as const;
const own = await loadPipeline(gpu, shippedModel);
after(() => own.free());

/** The shipped model with a part more: a folder with a file that holds `text`. */
function modelWith(...parts: [folder: string, text: string][]): string {
  const model = temporaryFolder();
  cpSync(shippedModel, model, { recursive: true });
  for (const [folder, text] of parts) addPart(model, folder, text);
  return model;
}

function addPart(parent: string, folder: string, text: string): void {
  mkdirSync(join(parent, folder));
  writeFileSync(join(parent, folder, "diffusion_pytorch_model.safetensors"), text);
}

const contentOf = (model: string, folder: string) => readFileSync(join(model, folder, "diffusion_pytorch_model.safetensors"), "utf8");

/** Writes factors for the shipped U-Net as a checkpoint has them: fresh ones, whose `up` is 0, or random ones. */
async function writeLora(checkpoint: string, folder: string, { seed, fresh, alpha = 4 }: { seed: number; fresh?: boolean; alpha?: number }): Promise<void> {
  const lora = attachLora(await openModelFolder(shippedModel).unet(), { rank: 4, alpha });
  await loadModel(gpu, lora, initialWeights(lora.parameters, seed, fresh ? loraInitialValues : () => normalValues(0.5)), { dtype: "f32" });
  await writeSafetensorsFile(join(checkpoint, folder, LORA_FILE), [...parameterOutputs(lora.parameters, LORA_PREFIX), ...lora.alphas]);
}

test("a trained LoRA takes part in the map, in the model's hash and in result.json; --ema takes its average", async () => {
  const [checkpoint, model] = [temporaryFolder(), join(temporaryFolder(), "model")];
  await writeLora(checkpoint, "unet_lora", { seed: 1, alpha: 8 });
  await writeLora(checkpoint, "unet_lora_ema", { seed: 2, fresh: true });
  await assembleModel(shippedModel, checkpoint, model);
  const map = async (ema?: boolean) => {
    const pipeline = await loadPipeline(gpu, model, { ema });
    const result = await pipeline.ground(film, "left pleural effusion", quick);
    const record = resultRecord(result, { version: "1", ldm: pipeline.ldm, imageName: "film.png", imageSha256: "", warnings: [], boxes: [], results: 1, gpuBytesPeak: 0 });
    pipeline.free();
    return { map: result.map, model: record.model };
  };
  const plain = (await own.ground(film, "left pleural effusion", quick)).map;
  const [trained, averaged] = [await map(), await map(true)];
  assert.deepEqual([trained.model.lora, averaged.model.lora, own.ldm.lora], ["unet_lora", "unet_lora_ema", undefined]);
  assert.equal(new Set([trained.model.sha256, averaged.model.sha256, own.ldm.sha256]).size, 3);
  assert.notDeepEqual(trained.map, plain);
  assert.deepEqual(averaged.map, plain);
});

test("the factor of a LoRA counts for the model's hash, though its weights are the same", async () => {
  const hashes = await Promise.all([4, 8].map(async (alpha) => {
    const [checkpoint, model] = [temporaryFolder(), join(temporaryFolder(), "model")];
    await writeLora(checkpoint, "unet_lora", { seed: 1, alpha });
    await assembleModel(shippedModel, checkpoint, model);
    const { ldm } = await loadPipeline(gpu, model);
    ldm.free();
    return ldm.sha256;
  }));
  assert.notEqual(hashes[0], hashes[1]);
});

test("a model with a LoRA whose average is missing is refused with --ema", async () => {
  const model = modelWith();
  await writeLora(model, "unet_lora", { seed: 1 });
  await assert.rejects(loadPipeline(gpu, model, { ema: true }), /unet_lora_ema\/pytorch_lora_weights.safetensors: no such file/);
});

test("a saved model has the checkpoint's parts, no average of what they replace, and nothing that training alone needs", async () => {
  const base = modelWith(["unet_ema", "the base's"], ["vae_ema", "the base's"], ["runs", "other work"]);
  const [checkpoint, out] = [temporaryFolder(), join(temporaryFolder(), "new", "model")];
  addPart(checkpoint, "unet", "trained");
  addPart(checkpoint, "attribute_heads", "of the training");
  await assembleModel(base, checkpoint, out);
  assert.deepEqual(readdirSync(out).sort(), ["README.md", "attnscope.json", "model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae", "vae_ema"]);
  assert.deepEqual([contentOf(out, "unet"), contentOf(out, "vae_ema")], ["trained", "the base's"]);
  assert.equal(existsSync(join(out, "unet", "config.json")), false);
  // Again, with an average now: nothing of the earlier one is left.
  addPart(checkpoint, "unet_ema", "averaged");
  await assembleModel(base, checkpoint, out);
  assert.equal(contentOf(out, "unet_ema"), "averaged");
  assert.deepEqual(readdirSync(join(out, "..")), ["model"]);
});

test("a model that cannot be made whole leaves the earlier one as it was", async () => {
  const [checkpoint, out] = [temporaryFolder(), join(temporaryFolder(), "model")];
  addPart(checkpoint, "unet", "trained");
  await assembleModel(shippedModel, checkpoint, out);
  const before = readdirSync(out).sort();
  await assert.rejects(assembleModel(shippedModel, checkpoint, out, { textEncoder: join(out, "nowhere") }), InputError);
  assert.deepEqual(readdirSync(out).sort(), before);
  assert.equal(contentOf(out, "unet"), "trained");
  assert.deepEqual(readdirSync(join(out, "..")), ["model"]);
});

test("a model is not saved over the one that is trained, nor over anything else", async () => {
  const base = modelWith();
  const work = temporaryFolder();
  symlinkSync(base, join(work, "link"));
  for (const out of [base, join(base, "new"), join(work, "link"), join(work, "link", "a", "b"), `${base}/../${base.split("/").pop()}`]) {
    await assert.rejects(checkModelPlace(base, out), (error) => error instanceof InputError && /--save-model: .* is the model that is trained, or lies in it/.test(error.message), out);
  }
  mkdirSync(join(work, "photographs"));
  await assert.rejects(checkModelPlace(base, work), /holds (photographs|link), which is no part of the model/);
  await checkModelPlace(base, join(work, "new"));
  await checkModelPlace(base, `${base}-2`);
});
