import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { BertModel, readBertConfig } from "../src/models/bert.ts";
import { ClipTextModel, readClipTextConfig } from "../src/models/clip.ts";
import { loadModel } from "../src/models/load.ts";
import type { Model } from "../src/models/parameters.ts";
import type { AttentionSink } from "../src/models/transformer.ts";
import { UNet2DConditionModel } from "../src/models/unet.ts";
import { readUNetConfig } from "../src/models/unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "../src/models/vae.ts";
import { zeros } from "../src/ops/fill.ts";
import { add, toChannelsFirst, toChannelsLast } from "../src/ops/pointwise.ts";
import type { Tensor } from "../src/tensor.ts";
import { readTensorFile } from "../src/verify/golden_file.ts";
import { openFolder } from "../src/weights/byte_source_node.ts";
import { findWeights, openCheckpoint } from "../src/weights/open_checkpoint.ts";
import { type GoldenTensor, readGolden, relativeError } from "./golden.ts";
import { needsShared, sharedPath } from "./shared.ts";

const gpu = await testGpu();
const bound = 1e-4;

const readConfig = async (folder: string) => JSON.parse(await readFile(`${sharedPath(folder)}/config.json`, "utf8"));

async function load(model: Model, folder: string, options: Parameters<typeof loadModel>[3] = {}): Promise<void> {
  await loadFrom(model, sharedPath(folder) as string, options);
}

async function loadFrom(model: Model, folder: string, options: Parameters<typeof loadModel>[3] = {}): Promise<void> {
  const source = openFolder(folder);
  const checkpoint = await openCheckpoint(source, await findWeights(source, ""));
  await loadModel(gpu, model, checkpoint, options);
  await checkpoint.close();
}

const ids = ({ data, shape }: GoldenTensor) => gpu.tensor(Uint32Array.from(data), shape);

test("BERT: masked, unmasked and projected [CLS] as transformers gives them", needsShared("goldens/bert.safetensors"), async () => {
  const { tensors } = await readGolden("goldens/bert.safetensors");
  const golden = (name: string) => tensors.get(name) as GoldenTensor;
  const model = new BertModel(readBertConfig("config.json", await readConfig("goldens/tiny_ldm/text_encoder")), { withProjection: true });
  await load(model, "goldens/tiny_ldm/text_encoder", { prefixes: ["bert.", ""] });
  const input = ids(golden("in.input_ids"));
  const masked = model.forward(input, { mask: ids(golden("in.attention_mask")), dtype: "f32" });
  assert.ok(relativeError(await masked.read(), golden("out.masked").data) < bound);
  assert.ok(relativeError(await model.forward(input, { dtype: "f32" }).read(), golden("out.unmasked").data) < bound);
  const [batch, length, width] = masked.shape;
  const hidden = await masked.read();
  const cls = Float32Array.from({ length: batch * width }, (_, i) => hidden[Math.floor(i / width) * length * width + (i % width)]);
  const projected = model.projectCls(gpu.tensor(cls, [batch, width]));
  assert.ok(relativeError(await projected.read(), golden("out.cls_projected").data) < bound);
});

test("CLIP: last hidden state, and OpenCLIP's penultimate reading", needsShared("goldens/clip.safetensors"), async () => {
  const { tensors } = await readGolden("goldens/clip.safetensors");
  const golden = (name: string) => tensors.get(name) as GoldenTensor;
  const config = await readConfig("goldens/tiny_clip");
  const input = ids(golden("in.input_ids"));
  const clip = new ClipTextModel(readClipTextConfig("config.json", config));
  await load(clip, "goldens/tiny_clip", { prefixes: ["text_model."] });
  assert.ok(relativeError(await clip.forward(input, { dtype: "f32" }).read(), golden("out.last_hidden_state").data) < bound);
  const open = new ClipTextModel({ ...readClipTextConfig("config.json", { ...config, hidden_act: "gelu" }), penultimate: true });
  await load(open, "goldens/tiny_clip", { prefixes: ["text_model."] });
  assert.ok(relativeError(await open.forward(input, { dtype: "f32" }).read(), golden("out.openclip_penultimate").data) < bound);
});

test("VAE: moments of an image, image of a latent", needsShared("goldens/vae.safetensors"), async () => {
  const { tensors } = await readGolden("goldens/vae.safetensors");
  const golden = (name: string) => tensors.get(name) as GoldenTensor;
  const vae = new AutoencoderKL(readVaeConfig("config.json", await readConfig("goldens/tiny_ldm/vae")));
  await load(vae, "goldens/tiny_ldm/vae");
  const input = (name: string) => toChannelsLast(gpu.tensor(golden(name).data, golden(name).shape));
  const moments = await toChannelsFirst(vae.encode(input("in.image"))).read();
  assert.ok(relativeError(moments.subarray(0, moments.length / 2), golden("out.mean").data) < bound);
  const logvar = moments.subarray(moments.length / 2).map((value) => Math.min(20, Math.max(-30, value)));
  assert.ok(relativeError(logvar, golden("out.logvar").data) < bound);
  assert.ok(relativeError(await toChannelsFirst(vae.decode(input("in.latent"))).read(), golden("out.decoded").data) < bound);
});

/** A sink that keeps the head-mean probabilities of every layer on the host side of the test. */
class EveryProbability implements AttentionSink {
  readonly capture = { all: true } as const;
  readonly done = false;
  readonly layers = new Map<string, Tensor>();
  wants(): boolean {
    return true;
  }
  take(layer: string, captured: Tensor): void {
    const copy = zeros(gpu, captured.shape);
    this.layers.set(layer, gpu.keep(add(captured, copy)));
  }
}

test("U-Net in SD 1.x style: output and the probabilities of all 16 layers", needsShared("goldens/unet_forward.safetensors"), async () => {
  const { tensors } = await readGolden("goldens/unet_forward.safetensors");
  const golden = (name: string) => tensors.get(name) as GoldenTensor;
  const unet = new UNet2DConditionModel(readUNetConfig("config.json", await readConfig("goldens/tiny_ldm/unet")));
  await load(unet, "goldens/tiny_ldm/unet");
  const text = gpu.tensor(golden("in.encoder_hidden_states").data, golden("in.encoder_hidden_states").shape);
  const sample = toChannelsLast(gpu.tensor(golden("in.sample").data, golden("in.sample").shape));
  const sink = new EveryProbability();
  const context = { keyValues: unet.projectText(text), sink };
  const out = unet.forward(sample, gpu.tensor(golden("in.timestep").data, [2]), context) as Tensor;
  assert.ok(relativeError(await toChannelsFirst(out).read(), golden("out.sample").data) < bound);
  assert.equal(sink.layers.size, 16);
  for (const [layer, captured] of sink.layers) {
    const expected = golden(`P.${layer}`);
    const actual = await captured.read();
    const [batch, tokens, ...side] = expected.shape;
    const pixels = side[0] * side[1];
    const all = captured.shape[1];
    for (let i = 0; i < expected.data.length; i++) {
      const [b, token, pixel] = [Math.floor(i / (tokens * pixels)), Math.floor(i / pixels) % tokens, i % pixels];
      const error = Math.abs(actual[(b * all + token) * pixels + pixel] - expected.data[i]);
      assert.ok(error < 1e-4, `${layer}, item ${b} of ${batch}, token ${token}: ${error}`);
    }
  }
});

test("U-Net in SD 2 style: heads by level, linear projections, one layer a block", needsShared("goldens/unet_backward.safetensors"), async () => {
  const { tensors } = await readGolden("goldens/unet_backward.safetensors");
  const golden = (name: string) => tensors.get(name) as GoldenTensor;
  const unet = new UNet2DConditionModel(readUNetConfig("config.json", await readConfig("goldens/micro_unet")));
  await load(unet, "goldens/micro_unet");
  const text = gpu.tensor(golden("in.encoder_hidden_states").data, golden("in.encoder_hidden_states").shape);
  const sample = toChannelsLast(gpu.tensor(golden("in.sample").data, golden("in.sample").shape));
  const timesteps = gpu.tensor(golden("in.timestep").data, golden("in.timestep").shape);
  const out = unet.forward(sample, timesteps, { keyValues: unet.projectText(text) }) as Tensor;
  assert.ok(relativeError(await toChannelsFirst(out).read(), golden("out.sample").data) < bound);
});

test("U-Net whose middle is one ResNet (UNetMidBlock2D), as diffusers 0.42 computes it", async () => {
  const folder = new URL("unets/plain_middle/", import.meta.url).pathname;
  const { tensors } = await readTensorFile(openFolder(folder), "golden.safetensors");
  const golden = (name: string) => tensors.get(name) as GoldenTensor;
  const input = (name: string) => gpu.tensor(golden(name).data, golden(name).shape);
  const unet = new UNet2DConditionModel(readUNetConfig("config.json", JSON.parse(await readFile(`${folder}config.json`, "utf8"))));
  await loadFrom(unet, folder);
  assert.deepEqual(unet.crossAttentions.map(({ name }) => name.split(".transformer_blocks")[0]), ["down_blocks.1.attentions.0", "up_blocks.1.attentions.0", "up_blocks.1.attentions.1"]);
  const out = unet.forward(toChannelsLast(input("in.sample")), input("in.timestep"), { keyValues: unet.projectText(input("in.encoder_hidden_states")) }) as Tensor;
  assert.ok(relativeError(await toChannelsFirst(out).read(), golden("out.sample").data) < bound);
});
