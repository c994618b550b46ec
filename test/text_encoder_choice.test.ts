import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { shippedModel } from "../src/cli/package.ts";
import { readFilm } from "../src/data/decode_node.ts";
import { InputError } from "../src/errors.ts";
import { BertModel, readBertConfig } from "../src/models/bert.ts";
import { loadLatentDiffusion, loadLatentEncoders } from "../src/models/ldm.ts";
import { readUNetConfig, textWidths } from "../src/models/unet_config.ts";
import { loadPipeline } from "../src/node.ts";
import { nodePlatform } from "../src/platform_node.ts";
import { assembleModel } from "../src/training/assemble_model_node.ts";
import { openModelFolder } from "../src/training/model_folder_node.ts";
import { temporaryFolder } from "./cli_process.ts";
import { changeJson } from "./golden_folders.ts";
import { bertTokenizer, randomTensors, renamed, safetensors, torchFile } from "./published_encoders.ts";

const gpu = await testGpu();
const film = await readFilm(join(shippedModel, "samples", "film_05.png"));
const phrase = "left pleural effusion";
const quick = { steps: 2, lastSteps: 2, merge: "none" } as const;
const own = await loadPipeline(gpu, shippedModel);
after(() => own.free());

/** A repository of a BERT of some width, random, with its files side by side. */
function publishedBert(width: number, name: "pytorch_model.bin" | "bert.ckpt" = "pytorch_model.bin"): string {
  const folder = temporaryFolder();
  const config = { model_type: "bert", vocab_size: 10, hidden_size: width, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 96 };
  const tensors = randomTensors(new BertModel(readBertConfig("config.json", config)).parameters);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeFileSync(join(folder, "vocab.txt"), bertTokenizer["vocab.txt"]);
  writeFileSync(join(folder, name), torchFile(renamed(tensors, (key) => `bert.${key}`)));
  return folder;
}

test("the model's own encoder as a repository of its own gives the same map and hash", async () => {
  const folder = temporaryFolder();
  for (const part of ["text_encoder", "tokenizer"]) {
    for (const name of readdirSync(join(shippedModel, part))) copyFileSync(join(shippedModel, part, name), join(folder, name));
  }
  for (const textEncoder of [folder, shippedModel]) {
    const chosen = await loadPipeline(gpu, shippedModel, { textEncoder });
    assert.equal(chosen.ldm.sha256, own.ldm.sha256);
    assert.equal(chosen.ldm.textEncoderName, textEncoder);
    assert.deepEqual((await chosen.ground(film, phrase, quick)).map, (await own.ground(film, phrase, quick)).map);
    chosen.free();
  }
});

test("another encoder gives another map at its own length, and the model needs none", async () => {
  const model = temporaryFolder();
  for (const part of ["unet", "vae", "scheduler"]) symlinkSync(join(shippedModel, part), join(model, part));
  const chosen = await loadPipeline(gpu, model, { textEncoder: publishedBert(64) });
  const result = await chosen.ground(film, phrase, quick);
  assert.equal(result.phrase.encoding.ids.length, 77);
  assert.notEqual(chosen.ldm.sha256, own.ldm.sha256);
  assert.notDeepEqual(result.map, (await own.ground(film, phrase, quick)).map);
  chosen.free();
});

test("an encoder of another width is refused before weights are read, with and without the U-Net's weights", async () => {
  const folder = nodePlatform.openFolder(shippedModel);
  const options = { textEncoder: publishedBert(32), onProgress: () => assert.fail("weights were read") };
  for (const load of [loadLatentDiffusion, loadLatentEncoders]) {
    await assert.rejects(load(gpu, nodePlatform, folder, options), (error: Error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /: the text encoder gives 32 channels, the U-Net of .*phantom reads 64 \(cross_attention_dim\); use the encoder that the U-Net was trained with/);
      assert.ok(error.message.startsWith(options.textEncoder));
      return true;
    });
  }
});

test("of a U-Net's resolutions, those with attention read the text", () => {
  const levels = ["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"];
  const widths = (cross_attention_dim: number | number[], mid_block_type = "UNetMidBlock2D") => textWidths(readUNetConfig("config.json", {
    block_out_channels: [8, 8, 8], cross_attention_dim, down_block_types: levels, up_block_types: levels.map((name) => name.replace("Down", "Up")), mid_block_type,
  }));
  assert.deepEqual(widths([32, 64, 16]), [64]);
  assert.deepEqual(widths([32, 64, 16], "UNetMidBlock2DCrossAttn"), [64, 16]);
  assert.deepEqual(widths(64, "UNetMidBlock2DCrossAttn"), [64]);
});

test("an encoder that fits only resolutions without attention is refused", async () => {
  const model = temporaryFolder();
  for (const part of ["vae", "scheduler", "text_encoder", "tokenizer"]) symlinkSync(join(shippedModel, part), join(model, part));
  cpSync(join(shippedModel, "unet", "config.json"), join(model, "unet", "config.json"));
  changeJson<{ block_out_channels: number[] }>(join(model, "unet", "config.json"), (config) => ({ ...config, cross_attention_dim: config.block_out_channels.map((_, i) => (i > 0 ? 32 : 64)) }));
  await assert.rejects(loadLatentEncoders(gpu, nodePlatform, nodePlatform.openFolder(model)), /the text encoder gives 64 channels, the U-Net of .* reads 32 \(cross_attention_dim\)/);
});

test("a U-Net trained with another encoder is saved with it", async () => {
  const [checkpoint, out, textEncoder] = [temporaryFolder(), join(temporaryFolder(), "model"), publishedBert(64, "bert.ckpt")];
  await assembleModel(shippedModel, checkpoint, out, { textEncoder });
  assert.deepEqual(readdirSync(join(out, "text_encoder")).sort(), ["bert.ckpt", "config.json", "vocab.txt"]);
  assert.deepEqual(readdirSync(join(out, "tokenizer")), ["vocab.txt"]);
  const [saved, chosen] = [await loadPipeline(gpu, out), await loadPipeline(gpu, shippedModel, { textEncoder })];
  assert.equal(saved.ldm.sha256, chosen.ldm.sha256);
  for (const pipeline of [saved, chosen]) pipeline.free();
});

test("a trained encoder takes the place of the one it was trained from, whose tokenizer stays", async () => {
  const [checkpoint, out, textEncoder] = [temporaryFolder(), join(temporaryFolder(), "model"), publishedBert(64)];
  const { textEncoder: encoder, configText } = await openModelFolder(shippedModel, { textEncoder }).textEncoder();
  mkdirSync(join(checkpoint, "text_encoder"));
  writeFileSync(join(checkpoint, "text_encoder", "config.json"), configText);
  writeFileSync(join(checkpoint, "text_encoder", "model.safetensors"), safetensors(renamed(randomTensors(encoder.model.parameters), (key) => encoder.keyPrefix + key)));
  await assembleModel(shippedModel, checkpoint, out, { textEncoder });
  assert.deepEqual(readdirSync(join(out, "text_encoder")).sort(), ["config.json", "model.safetensors"]);
  assert.deepEqual(readdirSync(join(out, "tokenizer")), ["vocab.txt"]);
  (await loadPipeline(gpu, out)).free();
});
