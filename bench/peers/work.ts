import { readFileSync } from "node:fs";
import type { Config } from "../../src/config.ts";
import { BertModel, readBertConfig } from "../../src/models/bert.ts";
import { Conv2d } from "../../src/models/layers.ts";
import { type Model, ParameterScope } from "../../src/models/parameters.ts";
import { ResnetBlock2D } from "../../src/models/resnet_block.ts";
import { Transformer2DModel } from "../../src/models/transformer.ts";
import { UNet2DConditionModel } from "../../src/models/unet.ts";
import { readUNetConfig, textWidths } from "../../src/models/unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "../../src/models/vae.ts";
import type { Tensor } from "../../src/tensor.ts";
import type { Input, ProductModel, Work } from "./engine.ts";
import { around, bert, convolution, dense, norm, resnet, transformer, unet, vaeEncoder } from "./networks.ts";

const plain = (...shape: number[]): Input => ({ kind: "plain", shape });
const image = (side: number, channels: number): Input => ({ kind: "image", shape: [1, side, side, channels] });

function linearWork(activation?: "gelu"): Work {
  return {
    name: `linear 4096x320 to 1280, bias${activation ? ", GELU" : ""}`,
    bar: 2,
    flops: 2 * 4096 * 320 * 1280,
    inputs: { x: plain(4096, 320) },
    build: (ops, { x }) => ({ y: ops.linear(x, dense("linear", 320, 1280), activation) }),
  };
}

function convolutionWork(channels: number, side: number): Work {
  return {
    name: `conv 3x3 ${channels} to ${channels} at ${side}x${side}`,
    bar: 2,
    flops: 2 * side ** 2 * 9 * channels ** 2,
    inputs: { x: image(side, channels) },
    build: (ops, { x }) => ({ y: ops.conv2d(x, convolution("conv", channels, channels), { padding: around }) }),
  };
}

function crossAttentionWork(queries: number): Work {
  return {
    name: `cross-attention with map 8x${queries}x40, 77 keys`,
    bar: 3,
    flops: 4 * queries * 77 * 320,
    inputs: { q: plain(1, queries, 320), k: plain(1, 77, 320), v: plain(1, 77, 320) },
    attention: "mapped",
    build: (ops, { q, k, v }) => ops.mappedAttention(q, k, v, 8),
  };
}

const operations: Work[] = [
  { name: "matmul 1024^3", bar: 2, flops: 2 * 1024 ** 3, inputs: { a: plain(1024, 1024), b: plain(1024, 1024) }, build: (ops, { a, b }) => ({ c: ops.matmul(a, b) }) },
  linearWork(),
  linearWork("gelu"),
  convolutionWork(320, 32),
  convolutionWork(640, 16),
  {
    name: "group norm + SiLU 320 at 64x64",
    bar: 1.3,
    inputs: { x: image(64, 320) },
    build: (ops, { x }) => ({ y: ops.groupNorm(x, norm("norm", 320), { groups: 32, eps: 1e-5, silu: true }) }),
  },
  { name: "layer norm 4096x320", bar: 1.2, inputs: { x: plain(4096, 320) }, build: (ops, { x }) => ({ y: ops.layerNorm(x, norm("norm", 320), 1e-5) }) },
  {
    name: "self-attention 8x1024x40",
    bar: 2,
    flops: 4 * 1024 ** 2 * 320,
    inputs: { q: plain(1, 1024, 320), k: plain(1, 1024, 320), v: plain(1, 1024, 320) },
    attention: "plain",
    build: (ops, { q, k, v }) => ({ out: ops.attention(q, k, v, 8) }),
  },
  crossAttentionWork(1024),
  crossAttentionWork(4096),
  { name: "softmax 8x1024x1024", bar: 1, inputs: { x: plain(8, 1024, 1024) }, build: (ops, { x }) => ({ y: ops.softmax(x) }) },
  { name: "SSIM of 50 maps 64x64", inputs: { a: { kind: "grey", shape: [50, 64, 64] }, b: { kind: "grey", shape: [50, 64, 64] } }, build: (ops, { a, b }) => ({ ssim: ops.ssim(a, b) }) },
];

/** SD 1.5 at an image of 256x256 pixels. */
const sd = { groups: 32, eps: 1e-5, heads: 8, contextWidth: 768, timeWidth: 1280 };

interface BlockWork {
  kind: string;
  channels: number;
  side: number;
  /** Channels of the skip connection. */
  skip?: number;
  attention?: boolean;
  secondResnet?: boolean;
  resample?: "down" | "up";
}

/** One layer of a kind of U-Net block: ResNet, transformer, the second ResNet of the middle, change of resolution. */
function blockWork(block: BlockWork): Work {
  const { kind, channels, side, skip = 0, attention = false, secondResnet = false, resample } = block;
  return {
    name: `${kind} layer, ${channels} at ${side}x${side}`,
    bar: 1.8,
    inputs: {
      x: image(side, channels),
      time: plain(1, sd.timeWidth),
      ...(skip && { skip: image(side, skip) }),
      ...(attention && { text: plain(1, 77, sd.contextWidth) }),
    },
    attention: attention ? "plain" : undefined,
    product: () => blockModel(block),
    build(ops, { x, skip: skipped, time, text }) {
      const sizes = { ...sd, outputs: channels, time: { embedding: time, width: sd.timeWidth } };
      let y = resnet(ops, "resnets.0", skip ? ops.concat(x, skipped) : x, { ...sizes, inputs: channels + skip });
      if (attention) y = transformer(ops, "attentions.0", y, text, { ...sd, width: channels, height: side });
      if (secondResnet) y = resnet(ops, "resnets.1", y, { ...sizes, inputs: channels });
      if (resample) y = ops.conv2d(resample === "up" ? ops.upsample(y) : y, convolution("resample", channels, channels), { padding: around, stride: resample === "down" ? 2 : 1 });
      return { y };
    },
  };
}

/** The same of the product's modules. */
function blockModel({ channels, skip = 0, attention = false, secondResnet = false, resample }: BlockWork): ProductModel {
  const p = new ParameterScope();
  const { groups, eps, heads, contextWidth, timeWidth } = sd;
  const options = { outChannels: channels, groups, eps, timeChannels: timeWidth };
  const first = new ResnetBlock2D(p.at("resnets.0"), { ...options, inChannels: channels + skip });
  const attend = attention ? new Transformer2DModel(p.at("attentions.0"), { level: 0, width: channels, heads, contextWidth, layers: 1, groups, linearProjection: false }) : undefined;
  const second = secondResnet ? new ResnetBlock2D(p.at("resnets.1"), { ...options, inChannels: channels }) : undefined;
  const last = resample && new Conv2d(p.at("resample"), channels, channels, { kernel: 3, stride: resample === "down" ? 2 : 1 });
  const model: Model = { parameters: p.all, ignoredKeys: /^$/ };
  return {
    model,
    forward({ x, skip: skipped, time, text }) {
      let y = first.forward(x, { time, skip: skipped });
      if (attend) y = attend.forward(y, { keyValues: new Map(attend.crossAttentions.map((layer) => [layer.name, layer.project(text)])) });
      if (second) y = second.forward(y, { time });
      return last?.forward(y, { upsample: resample === "up" }) ?? y;
    },
  };
}

const blocks = [
  blockWork({ kind: "CrossAttnDownBlock2D", channels: 320, side: 32, attention: true, resample: "down" }),
  blockWork({ kind: "DownBlock2D", channels: 1280, side: 4 }),
  blockWork({ kind: "UNetMidBlock2DCrossAttn", channels: 1280, side: 4, attention: true, secondResnet: true }),
  blockWork({ kind: "UpBlock2D", channels: 1280, side: 4, skip: 1280, resample: "up" }),
  blockWork({ kind: "CrossAttnUpBlock2D", channels: 320, side: 32, skip: 320, attention: true }),
];

function phantomConfig(part: string): [string, Config] {
  const url = new URL(`../../weights/phantom/${part}/config.json`, import.meta.url);
  return [url.pathname, JSON.parse(readFileSync(url, "utf8"))];
}

function bertWork(): Work {
  const length = 77;
  // Fewer words than BERT has, of which 77 are looked up all the same.
  const config = readBertConfig("BERT-base", { vocab_size: 8192, hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12, intermediate_size: 3072 });
  return {
    name: `BERT-base, ${length} tokens`,
    bar: 1.8,
    inputs: { ids: { kind: "ids", shape: [1, length], below: config.vocabSize } },
    attention: "plain",
    build: (ops, { ids }) => ({ y: bert(ops, ids, length, config) }),
    product() {
      const model = new BertModel(config);
      return { model, forward: ({ ids }) => model.forward(ids, { dtype: "f32" }) };
    },
  };
}

function unetWork(): Work {
  const config = readUNetConfig(...phantomConfig("unet"));
  const [side, timestep, [contextWidth]] = [config.sampleSize, 500, textWidths(config)];
  return {
    name: `phantom U-Net, ${side}x${side}`,
    inputs: { sample: image(side, config.inChannels), text: plain(1, 77, contextWidth) },
    attention: "plain",
    build: (ops, { sample, text }) => ({ y: unet(ops, sample, text, { side, timestep, config }) }),
    product() {
      const model = new UNet2DConditionModel(config);
      const at = (x: Tensor) => x.gpu.constant(`timestep ${timestep}`, [1], () => Float32Array.of(timestep));
      return { model, forward: ({ sample, text }) => model.forward(sample, at(sample), { keyValues: model.projectText(text) }) };
    },
  };
}

function vaeWork(): Work {
  const config = readVaeConfig(...phantomConfig("vae"));
  const { sampleSize: side, inChannels } = config;
  return {
    name: `phantom VAE encode, ${side}x${side}`,
    inputs: { image: image(side, inChannels) },
    attention: "plain",
    build: (ops, { image }) => ({ y: vaeEncoder(ops, image, config) }),
    product() {
      const model = new AutoencoderKL(config);
      return { model, forward: ({ image }) => model.encode(image) };
    },
  };
}

/** Everything that is measured, in the order of the table. */
export const works: readonly Work[] = [...operations, bertWork(), ...blocks, unetWork(), vaeWork()];
