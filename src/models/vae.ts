import { attention } from "../ops/attention.ts";
import type { Tensor } from "../tensor.ts";
import { type Config, ConfigReader } from "../config.ts";
import { currentAttentionName } from "../weights/rename.ts";
import { Conv2d, GroupNorm, type Layer, Linear, consume, sequence } from "./layers.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";
import { ResnetBlock2D } from "./resnet_block.ts";

/** What an AutoencoderKL's config.json says. */
export interface VaeConfig {
  /** `in_channels`, default 3: RGB, also of grey films. */
  inChannels: number;
  /** `out_channels`, default 3. */
  outChannels: number;
  /** `latent_channels`, default 4. */
  latentChannels: number;
  /** `block_out_channels`: of each resolution from the image's own down; each further one halves the side. */
  channels: number[];
  /** `layers_per_block`, default 1: ResNets a resolution in the encoder; the decoder has one more. */
  layers: number;
  /** `norm_num_groups`, default 32: of all group norms. */
  groups: number;
  /** `sample_size`, default 512: side of the model's image in pixels. */
  sampleSize: number;
  /** `scaling_factor`, default 0.18215: latents are multiplied by it after encoding, divided by it before decoding. */
  scalingFactor: number;
  /** `use_quant_conv`, default true: a 1x1 convolution of the encoder's moments. */
  quantConv: boolean;
  /** `use_post_quant_conv`, default true: a 1x1 convolution of the latent before the decoder. */
  postQuantConv: boolean;
  /** `mid_block_add_attention`, default true: self-attention in the middle of encoder and decoder. */
  midAttention: boolean;
}

/** Reads a VAE's config.json. Throws InputError for settings that are not implemented. */
export function readVaeConfig(file: string, config: Config): VaeConfig {
  const read = new ConfigReader(file, config);
  read.only({ _class_name: ["AutoencoderKL"], act_fn: ["silu", "swish"], shift_factor: [0], latents_mean: [], latents_std: [] });
  const channels = read.numbers("block_out_channels");
  for (const [key, type] of [["down_block_types", "DownEncoderBlock2D"], ["up_block_types", "UpDecoderBlock2D"]] as const) {
    const types = read.strings(key);
    if (types.length !== channels.length) read.fail(key, `has ${types.length} entries, block_out_channels has ${channels.length}`);
    const other = types.find((name) => name !== type);
    if (other) read.fail(key, `holds ${other}; supported: ${type}`);
  }
  return {
    inChannels: read.number("in_channels", 3),
    outChannels: read.number("out_channels", 3),
    latentChannels: read.number("latent_channels", 4),
    channels,
    layers: read.number("layers_per_block", 1),
    groups: read.number("norm_num_groups", 32),
    sampleSize: read.number("sample_size", 512),
    scalingFactor: read.number("scaling_factor", 0.18215),
    quantConv: read.boolean("use_quant_conv", true),
    postQuantConv: read.boolean("use_post_quant_conv", true),
    midAttention: read.boolean("mid_block_add_attention", true),
  };
}

const eps = 1e-6;

/** Single-head self-attention over all positions of the middle block. */
class VaeAttention {
  readonly #norm: GroupNorm;
  readonly #q: Linear;
  readonly #k: Linear;
  readonly #v: Linear;
  readonly #out: Linear;

  constructor(p: ParameterScope, channels: number, groups: number) {
    this.#norm = new GroupNorm(p.at("group_norm"), groups, channels, eps);
    this.#q = new Linear(p.at("to_q"), channels, channels);
    this.#k = new Linear(p.at("to_k"), channels, channels);
    this.#v = new Linear(p.at("to_v"), channels, channels);
    this.#out = new Linear(p.at("to_out.0"), channels, channels);
  }

  /** x [B, H, W, C] to the same shape. */
  forward(x: Tensor): Tensor {
    return x.gpu.scope("attention", () => {
      const [batch, height, width, channels] = x.shape;
      const tokens = consume(this.#norm.forward(x), (normed) => normed.reshape(batch, height * width, channels));
      const o = attention(this.#q.forward(tokens), this.#k.forward(tokens), this.#v.forward(tokens), { heads: 1 });
      return this.#out.forward(o.reshape(batch, height, width, channels), { residual: x });
    });
  }
}

/** ResNet, attention, ResNet at the lowest resolution. */
class MidBlock {
  readonly #layers: readonly Layer[];

  constructor(p: ParameterScope, channels: number, groups: number, withAttention: boolean) {
    const [first, last] = [0, 1].map((i) => new ResnetBlock2D(p.at("resnets").at(i), { inChannels: channels, outChannels: channels, groups, eps }));
    this.#layers = withAttention ? [first, new VaeAttention(p.at("attentions.0"), channels, groups), last] : [first, last];
  }

  forward(x: Tensor): Tensor {
    return x.gpu.scope("mid_block", () => sequence(x, this.#layers));
  }
}

/** diffusers' Encoder and Decoder share this shape: convolution, blocks with the middle at one end, normalised convolution. */
class Encoder {
  readonly #convIn: Conv2d;
  /** By resolution: ResNets and, but for the last, a change of resolution. */
  readonly #blocks: readonly (readonly Layer[])[];
  readonly #mid: MidBlock;
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv2d;

  constructor(p: ParameterScope, config: VaeConfig) {
    const { channels, groups, layers } = config;
    this.#convIn = new Conv2d(p.at("conv_in"), config.inChannels, channels[0], { kernel: 3 });
    this.#blocks = channels.map((outChannels, i) => {
      const block = p.at("down_blocks").at(i);
      const resnets = Array.from({ length: layers }, (_, j) => new ResnetBlock2D(block.at("resnets").at(j), { inChannels: j === 0 ? channels[Math.max(0, i - 1)] : outChannels, outChannels, groups, eps }));
      if (i === channels.length - 1) return resnets;
      // The VAE pads its strided convolutions at the bottom and the right only.
      return [...resnets, new Conv2d(block.at("downsamplers.0.conv"), outChannels, outChannels, { kernel: 3, stride: 2, padding: [0, 0, 1, 1] })];
    });
    const last = channels[channels.length - 1];
    this.#mid = new MidBlock(p.at("mid_block"), last, groups, config.midAttention);
    this.#normOut = new GroupNorm(p.at("conv_norm_out"), groups, last, eps);
    this.#convOut = new Conv2d(p.at("conv_out"), last, 2 * config.latentChannels, { kernel: 3 });
  }

  forward(image: Tensor): Tensor {
    const { gpu } = image;
    let x = this.#convIn.forward(image);
    for (const [i, block] of this.#blocks.entries()) x = gpu.scope(`down_blocks.${i}`, () => sequence(x, block));
    return this.#convOut.forward(this.#normOut.forward(this.#mid.forward(x), { silu: true }));
  }
}

class Decoder {
  readonly #convIn: Conv2d;
  readonly #mid: MidBlock;
  /** By resolution: ResNets and, but for the last, a change of resolution. */
  readonly #blocks: readonly (readonly Layer[])[];
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv2d;

  constructor(p: ParameterScope, config: VaeConfig) {
    const { groups, layers } = config;
    const channels = config.channels.toReversed();
    this.#convIn = new Conv2d(p.at("conv_in"), config.latentChannels, channels[0], { kernel: 3 });
    this.#mid = new MidBlock(p.at("mid_block"), channels[0], groups, config.midAttention);
    this.#blocks = channels.map((outChannels, i) => {
      const block = p.at("up_blocks").at(i);
      const resnets = Array.from({ length: layers + 1 }, (_, j) => new ResnetBlock2D(block.at("resnets").at(j), { inChannels: j === 0 ? channels[Math.max(0, i - 1)] : outChannels, outChannels, groups, eps }));
      if (i === channels.length - 1) return resnets;
      const conv = new Conv2d(block.at("upsamplers.0.conv"), outChannels, outChannels, { kernel: 3 });
      return [...resnets, { forward: (x: Tensor) => conv.forward(x, { upsample: true }) }];
    });
    this.#normOut = new GroupNorm(p.at("conv_norm_out"), groups, channels[channels.length - 1], eps);
    this.#convOut = new Conv2d(p.at("conv_out"), channels[channels.length - 1], config.outChannels, { kernel: 3 });
  }

  forward(latent: Tensor): Tensor {
    const { gpu } = latent;
    let x = this.#mid.forward(this.#convIn.forward(latent));
    for (const [i, block] of this.#blocks.entries()) x = gpu.scope(`up_blocks.${i}`, () => sequence(x, block));
    return this.#convOut.forward(this.#normOut.forward(x, { silu: true }));
  }
}

/** diffusers' AutoencoderKL (autoencoder_kl.py) on channels-last images. */
export class AutoencoderKL implements Model {
  /** What it was built from. */
  readonly config: VaeConfig;
  /** By key: `encoder.`, `decoder.`, `quant_conv.` and `post_quant_conv.`. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** None. */
  readonly ignoredKeys = /^$/;
  /** Attention weights of old files: `query` is `to_q`, `proj_attn` is `to_out.0`. */
  readonly renameKey = currentAttentionName;
  readonly #encoder: Encoder;
  readonly #decoder: Decoder;
  readonly #quantConv: Conv2d | undefined;
  readonly #postQuantConv: Conv2d | undefined;

  constructor(config: VaeConfig) {
    this.config = config;
    const p = new ParameterScope();
    this.parameters = p.all;
    const { latentChannels } = config;
    this.#encoder = new Encoder(p.at("encoder"), config);
    this.#decoder = new Decoder(p.at("decoder"), config);
    this.#quantConv = config.quantConv ? new Conv2d(p.at("quant_conv"), 2 * latentChannels, 2 * latentChannels, { kernel: 1 }) : undefined;
    this.#postQuantConv = config.postQuantConv ? new Conv2d(p.at("post_quant_conv"), latentChannels, latentChannels, { kernel: 1 }) : undefined;
  }

  /** Pixels a latent position covers on each side. */
  get factor(): number {
    return 2 ** (this.config.channels.length - 1);
  }

  /**
   * image [B, H, W, in] in [-1, 1] to the moments of its latent: [B, h, w, 2 * latent], the mean's channels first,
   * then the log-variance's, not yet clamped to [-30, 20], unscaled.
   */
  encode(image: Tensor): Tensor {
    return image.gpu.scope("vae/encode", () => {
      const moments = this.#encoder.forward(image);
      return this.#quantConv?.forward(moments) ?? moments;
    });
  }

  /** latent [B, h, w, latent], unscaled, to an image [B, H, W, out] in about [-1, 1]. */
  decode(latent: Tensor): Tensor {
    return latent.gpu.scope("vae/decode", () => this.#decoder.forward(this.#postQuantConv?.forward(latent) ?? latent));
  }
}
