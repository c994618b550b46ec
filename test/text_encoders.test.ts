import assert from "node:assert/strict";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { InputError, WeightsError } from "../src/errors.ts";
import { BertModel, readBertConfig } from "../src/models/bert.ts";
import { ClipTextModel, readClipTextConfig } from "../src/models/clip.ts";
import { loadModel } from "../src/models/load.ts";
import { freeModel } from "../src/models/parameters.ts";
import { findTextEncoder, openTextEncoder } from "../src/models/text_encoder_folder.ts";
import { fileFolder } from "../src/weights/byte_source.ts";
import { findWeights, openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { bertReference } from "./bert_reference.ts";
import { relativeError } from "./golden.ts";
import { type FileTensors, bertTokenizer, clipTokenizer, joined, lightningFile, otherTensors, positionBuffer, randomTensors, renamed, robertaTokenizer, safetensors, torchFile } from "./published_encoders.ts";
import { pickle } from "./weights_files.ts";

const gpu = await testGpu();

type Files = Readonly<Record<string, Uint8Array | string>>;

const folderOf = (files: Files) => fileFolder("encoder", new Map(Object.entries(files).map(([name, content]) => [name, typeof content === "string" ? Buffer.from(content) : content])));

/** Loads the encoder of a folder and encodes phrases, or the empty text without a mask. */
async function embed(files: Files, phrases: readonly string[] = ["small left pleural effusions", "lung"], masked = true): Promise<Float32Array> {
  const folder = folderOf(files);
  const place = await findTextEncoder(folder);
  const { textEncoder, tokenizer } = await openTextEncoder(place);
  const checkpoint = await openCheckpoint(folder, await findWeights(folder, place.directory));
  await loadModel(gpu, textEncoder.model, textEncoder.tensorsOf(checkpoint));
  const output = gpu.scope("test", () => textEncoder.encode(gpu, phrases.map((phrase) => tokenizer.encode(phrase)), { masked, dtype: "f32" }));
  const values = await output.read();
  output.free();
  freeModel(textEncoder.model);
  return values;
}

const bertConfig = { architectures: ["BertModel"], model_type: "bert", vocab_size: 10, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 24, max_position_embeddings: 80 };
const robertaConfig = { ...bertConfig, architectures: ["RobertaForMaskedLM"], model_type: "roberta", vocab_size: 13, max_position_embeddings: 82, type_vocab_size: 1, pad_token_id: 1, layer_norm_eps: 1e-5 };
const clipConfig = { architectures: ["CLIPTextModel"], model_type: "clip_text_model", vocab_size: 14, hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2, intermediate_size: 64, max_position_embeddings: 77, hidden_act: "gelu" };

const bert = randomTensors(new BertModel(readBertConfig("config.json", bertConfig)).parameters);
const clip = randomTensors(new ClipTextModel(readClipTextConfig("config.json", clipConfig)).parameters);
const bertFiles = { "config.json": JSON.stringify(bertConfig), ...bertTokenizer };
const clipFiles = { "config.json": JSON.stringify(clipConfig), ...clipTokenizer };

const below = (prefix: string, tensors: FileTensors = bert) => renamed(tensors, (key) => prefix + key);
const pooler = otherTensors({ "pooler.dense.weight": [16, 16], "pooler.dense.bias": [16] });
const languageHead = otherTensors({ "cls.predictions.bias": [10], "cls.predictions.transform.dense.weight": [16, 16], "cls.predictions.decoder.weight": [10, 16] });
const positions = (prefix: string, length = 80) => positionBuffer(`${prefix}embeddings.position_ids`, length);
const gammaAndBeta = (key: string) => key.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta");

/** Files of BERT encoders as they are published, all with the same weights. */
const publishedBerts: [what: string, files: Files][] = [
  ["CXR-BERT: a masked language model with the projection head", {
    ...bertTokenizer,
    "config.json": JSON.stringify({ ...bertConfig, architectures: ["CXRBertModel"], model_type: "cxr-bert", projection_size: 8 }),
    "pytorch_model.bin": torchFile(joined(below("bert."), positions("bert."), languageHead, otherTensors({ "cls_projection_head.dense_to_hidden.weight": [8, 16], "cls_projection_head.LayerNorm.weight": [8] }))),
  }],
  ["RadBERT: a masked language model", { ...bertFiles, "pytorch_model.bin": torchFile(joined(below("bert."), positions("bert."), languageHead)) }],
  ["layer norms named as in TensorFlow", { ...bertFiles, "pytorch_model.bin": torchFile(joined(renamed(below("bert."), gammaAndBeta), languageHead)) }],
  ["Med-KEBERT: a bare encoder with its pooler", { ...bertFiles, "pytorch_model.bin": torchFile(joined(bert, positions(""), pooler)) }],
  ["CXR-CLIP: its trainer's file, an encoder in an encoder", {
    ...bertFiles,
    "r50_m.tar": torchFile(
      joined(below("text_encoder.text_encoder."), positions("text_encoder.text_encoder."), below("text_encoder.text_encoder.", pooler), otherTensors({ "image_encoder.resnet.conv1.weight": [4, 3], "text_projection.projection.weight": [8, 16], logit_scale: [] })),
      (stateDict) => pickle.dict(pickle.text("model"), stateDict, pickle.text("optimizer"), pickle.dict(pickle.text("state"), pickle.dict()), pickle.text("epoch"), pickle.int(15)),
    ),
  }],
  ["CXR-CLIP in a Lightning checkpoint", { ...bertFiles, "cxr_clip.ckpt": lightningFile(joined(otherTensors({ "image_encoder.resnet.conv1.weight": [4, 3] }), below("text_encoder."), positions("text_encoder."))) }],
  ["GLoRIA: a Lightning checkpoint", {
    ...bertFiles,
    "chexpert_resnet50.ckpt": lightningFile(joined(below("gloria.text_encoder.model."), positions("gloria.text_encoder.model."), below("gloria.text_encoder.model.", pooler), otherTensors({ "gloria.img_encoder.model.conv1.weight": [4, 3], "gloria.img_encoder.global_embedder.weight": [16, 4] }))),
  }],
];

for (const [what, files] of publishedBerts) {
  test(`${what}, gives what the plain encoder gives`, async () => {
    assert.deepEqual(await embed(files), await embed({ ...bertFiles, "model.safetensors": safetensors(bert) }));
  });
}

test("RoBERTa: positions count from the id of padding, as an f64 reference has them", async () => {
  const config = readBertConfig("config.json", robertaConfig);
  const tensors = randomTensors(new BertModel(config).parameters);
  const head = otherTensors({ "lm_head.bias": [13], "lm_head.dense.weight": [16, 16], "lm_head.layer_norm.weight": [16] });
  const files = { ...robertaTokenizer, "config.json": JSON.stringify(robertaConfig), "model.safetensors": safetensors(joined(below("roberta.", tensors), head)) };
  const { tokenizer } = await openTextEncoder(await findTextEncoder(folderOf(files)));
  for (const [phrase, masked] of [["lung lung", true], ["", false]] as const) {
    const { ids, attentionMask, endIndex } = tokenizer.encode(phrase);
    const places = Array.from(ids, (_, n) => (n <= endIndex ? n + 2 : 1));
    const expected = bertReference(tensors, config, ids, places, masked ? attentionMask : ids.map(() => 1));
    assert.ok(relativeError(await embed(files, [phrase], masked), expected.flatMap((row) => [...row])) < 1e-5, phrase);
  }
});

test("BERT: positions count from 0, as an f64 reference has them", async () => {
  const files = { ...bertFiles, "model.safetensors": safetensors(bert) };
  const { tokenizer } = await openTextEncoder(await findTextEncoder(folderOf(files)));
  const { ids, attentionMask } = tokenizer.encode("left effusions");
  const expected = bertReference(bert, readBertConfig("config.json", bertConfig), ids, Array.from(ids, (_, n) => n), attentionMask);
  assert.ok(relativeError(await embed(files, ["left effusions"]), expected.flatMap((row) => [...row])) < 1e-5);
});

/** open_clip's names of transformers' tensors; query, key and value become one. */
function openClipTensors(tensors: FileTensors): FileTensors {
  const names = renamed(tensors, (key) => key
    .replace("embeddings.token_embedding", "token_embedding").replace("embeddings.position_embedding.weight", "positional_embedding")
    .replace("encoder.layers.", "transformer.resblocks.").replace("layer_norm", "ln_").replace("self_attn.out_proj", "attn.out_proj")
    .replace("mlp.fc1", "mlp.c_fc").replace("mlp.fc2", "mlp.c_proj").replace("final_ln_", "ln_final"));
  const fused = new Map(names);
  for (const key of names.keys()) {
    const found = /^(transformer\.resblocks\.\d+)\.self_attn\.q_proj\.(weight|bias)$/.exec(key);
    if (!found) continue;
    const parts = ["q", "k", "v"].map((part) => `${found[1]}.self_attn.${part}_proj.${found[2]}`);
    const values = parts.flatMap((part) => [...(names.get(part)?.values as Float32Array)]);
    const [rows, ...rest] = names.get(key)?.shape as readonly number[];
    for (const part of parts) fused.delete(part);
    fused.set(`${found[1]}.attn.in_proj_${found[2]}`, { shape: [3 * rows, ...rest], values: Float32Array.from(values) });
  }
  return fused;
}

const openClipConfig = { model_cfg: { embed_dim: 8, vision_cfg: { layers: 2, width: 8 }, text_cfg: { context_length: 77, vocab_size: 14, width: 16, heads: 2, layers: 3 } }, preprocess_cfg: { mean: [0.5] } };
const openClipFiles = { ...clipTokenizer, "open_clip_config.json": JSON.stringify(openClipConfig) };
const imageTower = otherTensors({ "visual.class_embedding": [8], "visual.transformer.resblocks.0.attn.in_proj_weight": [24, 8], "visual.positional_embedding": [5, 8], text_projection: [16, 8], logit_scale: [], attn_mask: [77, 77] });
const lastLayer = (key: string) => key.startsWith("encoder.layers.2.");
const withoutLastLayer = new Map([...clip].filter(([key]) => !lastLayer(key)));
const penultimateConfig = JSON.stringify({ ...clipConfig, num_hidden_layers: 2 });
const plainClip = { ...clipFiles, "model.safetensors": safetensors(clip) };
const plainPenultimate = { ...clipTokenizer, "config.json": penultimateConfig, "model.safetensors": safetensors(withoutLastLayer) };

/** Files of CLIP encoders as they are published, and the plain ones that they equal. */
const publishedClips: [what: string, files: Files, plain: Files][] = [
  ["CLIP's text encoder alone", { ...clipFiles, "model.safetensors": safetensors(below("text_model.", clip)) }, plainClip],
  ["a whole CLIP", {
    ...clipTokenizer,
    "config.json": JSON.stringify({ architectures: ["CLIPModel"], model_type: "clip", text_config: { ...clipConfig, architectures: undefined }, vision_config: {} }),
    "pytorch_model.bin": torchFile(joined(below("text_model.", clip), positions("text_model.", 77), otherTensors({ "vision_model.embeddings.class_embedding": [8], "visual_projection.weight": [8, 8], "text_projection.weight": [8, 16], logit_scale: [] }))),
  }, plainClip],
  ["a learnt encoder in a model folder", {
    "text_encoder/config.json": clipFiles["config.json"], "text_encoder/model.safetensors": safetensors(below("text_model.", clip)),
    ...Object.fromEntries(Object.entries(clipTokenizer).map(([name, content]) => [`tokenizer/${name}`, content])),
  }, plainClip],
  ["a learnt encoder in Stable Diffusion's own layout", { ...clipFiles, "sd.ckpt": lightningFile(joined(below("cond_stage_model.transformer.text_model.", clip), otherTensors({ "model.diffusion_model.out.0.weight": [4], "first_stage_model.quant_conv.weight": [8, 8] }))) }, plainClip],
  ["OpenCLIP in the diffusers layout: one layer less", {
    "text_encoder/config.json": penultimateConfig, "text_encoder/model.safetensors": safetensors(below("text_model.", withoutLastLayer)),
    ...Object.fromEntries(Object.entries(clipTokenizer).map(([name, content]) => [`tokenizer/${name}`, content])),
  }, plainPenultimate],
  ["OpenCLIP with its own keys, read at the penultimate layer", { ...openClipFiles, "open_clip_pytorch_model.bin": torchFile(joined(imageTower, openClipTensors(clip))) }, plainPenultimate],
  ["OpenCLIP with its own keys in a tower of its own", { ...openClipFiles, "open_clip_model.safetensors": safetensors(joined(imageTower, below("text.", openClipTensors(clip)))) }, plainPenultimate],
  ["OpenCLIP with transformers' weights beside its own config", { ...plainClip, ...openClipFiles, "model.safetensors": safetensors(below("text_model.", clip)) }, plainPenultimate],
];

for (const [what, files, plain] of publishedClips) {
  test(`${what}, gives what the plain encoder gives`, async () => {
    assert.deepEqual(await embed(files), await embed(plain));
  });
}

test("the penultimate reading is another one than the last", async () => {
  assert.ok(relativeError(await embed(plainPenultimate), await embed(plainClip)) > 0.01);
});

const without = (tensors: FileTensors, key: string) => new Map([...tensors].filter(([name]) => name !== key));
const refused: [what: string, files: Files, kind: typeof InputError, message: RegExp][] = [
  ["a key that is missing", { ...bertFiles, "gloria.ckpt": lightningFile(below("gloria.text_encoder.model.", without(bert, "encoder.layer.1.output.dense.weight"))) }, WeightsError,
    /^encoder\/gloria\.ckpt: lacks tensor encoder\.layer\.1\.output\.dense\.weight \(the nearest that it has is gloria\.text_encoder\.model\.encoder\.layer\.1\.attention\.output\.dense\.weight\)/],
  ["a missing key of open_clip's", { ...openClipFiles, "open_clip_pytorch_model.bin": torchFile(without(openClipTensors(clip), "ln_final.weight")) }, WeightsError,
    /lacks tensor final_layer_norm\.weight \(the nearest that it has is ln_final\.bias\)/],
  ["a file without any encoder", { ...bertFiles, "model.safetensors": safetensors(below("text_model.", clip)) }, WeightsError, /holds no BERT: no key ends in embeddings\.word_embeddings\.weight; the nearest key is "text_model\.embeddings\.\w+\.weight"/],
  ["a file with two encoders", { ...bertFiles, "model.safetensors": safetensors(joined(below("online."), below("target."))) }, WeightsError, /holds several text encoders, below \["online\.", "target\."\]/],
  ["a key that the model lacks", { ...openClipFiles, "open_clip_model.safetensors": safetensors(joined(openClipTensors(clip), otherTensors({ "transformer.resblocks.0.ls_1.gamma": [16] }))) }, WeightsError, /holds tensor transformer\.resblocks\.0\.ls_1\.gamma, which the model's config\.json does not ask for/],
  ["a fused projection of another width", { ...openClipFiles, "open_clip_model.safetensors": safetensors(joined(openClipTensors(clip), otherTensors({ "transformer.resblocks.0.attn.in_proj_weight": [50, 16] }))) }, WeightsError, /transformer\.resblocks\.0\.attn\.in_proj_weight is \[50,16\], which is not 3 equal parts/],
  ["a trainer's checkpoint beside other weights", { ...bertFiles, "pytorch_model.bin": torchFile(bert), "gloria.ckpt": lightningFile(bert) }, WeightsError, /^encoder: holds several weights \(pytorch_model\.bin, gloria\.ckpt\); leave only those that are meant/],
  ["a checkpoint alone", { "gloria.ckpt": lightningFile(bert) }, InputError, /^encoder: has no config\.json and no open_clip_config\.json; .*Bio_ClinicalBERT/],
  ["another kind of encoder", { ...bertFiles, "config.json": JSON.stringify({ ...bertConfig, model_type: "distilbert" }) }, InputError, /config\.json: model_type is "distilbert"; supported: bert/],
  ["an OpenCLIP with a tower of transformers'", { ...openClipFiles, "open_clip_config.json": JSON.stringify({ model_cfg: { text_cfg: { hf_model_name: "bert-base-uncased" } } }) }, InputError, /hf_model_name is "bert-base-uncased"; supported: null/],
  ["a tokenizer longer than the encoder", { ...bertFiles, "tokenizer_config.json": '{"model_max_length": 100}' }, InputError, /the tokenizer gives 100 positions, the text encoder has 80/],
];
for (const [what, files, kind, message] of refused) {
  test(`${what} is refused by name`, async () => {
    await assert.rejects(embed(files), (error: Error) => {
      assert.ok(error instanceof kind, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}
