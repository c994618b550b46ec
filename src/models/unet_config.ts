import { type Config, ConfigReader } from "../config.ts";

/** One resolution of the U-Net, from the top (level 0) down. */
export interface UNetLevel {
  /** Its `block_out_channels`, a multiple of `heads`. */
  channels: number;
  /** Heads of its attention layers. */
  heads: number;
  /** Its `cross_attention_dim`, default 1280: channels of the text encoder's output. */
  contextWidth: number;
  /** ResNet blocks on the way down; one more on the way up. */
  layers: number;
  /** Its `transformer_layers_per_block`, default 1: cross-attention layers after each ResNet. */
  transformerLayers: number;
  /** Whether its down block is a CrossAttnDownBlock2D. */
  downAttention: boolean;
  /** Whether its up block is a CrossAttnUpBlock2D. */
  upAttention: boolean;
}

/** What a UNet2DConditionModel's config.json says, as far as the forward pass depends on it. */
export interface UNetConfig {
  /** `in_channels`, default 4: those of the VAE's latent. */
  inChannels: number;
  /** `out_channels`, default 4. */
  outChannels: number;
  /** `sample_size`, default 64: side of the latent it was trained on; the pass takes others too. */
  sampleSize: number;
  /** `norm_num_groups`, default 32: of all group norms. */
  groups: number;
  /** `norm_eps`, default 1e-5: of the ResNets' group norms and the last one; the transformers' have 1e-6. */
  eps: number;
  /** `flip_sin_to_cos`, default true: cosines before sines in the timestep's embedding. */
  flipSinToCos: boolean;
  /** `freq_shift`, default 0, of the timestep's embedding. */
  freqShift: number;
  /** `use_linear_projection`, default false: true in SD 2, for the transformers' projections in and out. */
  linearProjection: boolean;
  /** False for UNetMidBlock2D, which diffusers makes of one ResNet alone. */
  midAttention: boolean;
  /** One a resolution, the latent's own first; each further one halves the side. */
  levels: UNetLevel[];
}

/** Channels of the texts that the attention layers of a U-Net read, each width once: one where an encoder can fit it. */
export function textWidths({ levels, midAttention }: UNetConfig): number[] {
  const reading = levels.filter((level, i) => level.downAttention || level.upAttention || (midAttention && i === levels.length - 1));
  return [...new Set(reading.map(({ contextWidth }) => contextWidth))];
}

/** Settings of diffusers' U-Net that change the arithmetic, with the values that are implemented. */
const supported: Readonly<Record<string, readonly unknown[]>> = {
  _class_name: ["UNet2DConditionModel"],
  act_fn: ["silu", "swish"],
  mid_block_type: ["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"],
  time_embedding_type: ["positional"],
  resnet_time_scale_shift: ["default"],
  attention_type: ["default"],
  class_embed_type: [],
  num_class_embeds: [],
  addition_embed_type: [],
  encoder_hid_dim: [],
  encoder_hid_dim_type: [],
  time_embedding_dim: [],
  time_embedding_act_fn: [],
  timestep_post_act: [],
  time_cond_proj_dim: [],
  cross_attention_norm: [],
  mid_block_only_cross_attention: [false],
  reverse_transformer_layers_per_block: [],
  only_cross_attention: [false],
  dual_cross_attention: [false],
  center_input_sample: [false],
  class_embeddings_concat: [false],
  resnet_skip_time_act: [false],
  conv_in_kernel: [3],
  conv_out_kernel: [3],
  downsample_padding: [1],
  mid_block_scale_factor: [1],
  resnet_out_scale_factor: [1],
};

const withAttention: Readonly<Record<string, boolean>> = {
  CrossAttnDownBlock2D: true,
  DownBlock2D: false,
  CrossAttnUpBlock2D: true,
  UpBlock2D: false,
};

/** Reads a U-Net's config.json. Throws InputError for settings that are not implemented. */
export function readUNetConfig(file: string, config: Config): UNetConfig {
  const read = new ConfigReader(file, config);
  read.only(supported);
  const channels = read.numbers("block_out_channels");
  const count = channels.length;
  const attentionOf = (key: string, suffix: string): boolean[] => {
    const types = read.strings(key);
    if (types.length !== count) read.fail(key, `has ${types.length} entries, block_out_channels has ${count}`);
    return types.map((type) => (type in withAttention && type.endsWith(suffix) ? withAttention[type] : read.fail(key, `holds ${type}, which is not implemented`)));
  };
  const down = attentionOf("down_block_types", "DownBlock2D");
  const up = attentionOf("up_block_types", "UpBlock2D").reverse();
  // In SD 1.x `attention_head_dim` is the number of heads; diffusers reads it so unless num_attention_heads is given.
  const heads = read.perLevel(config.num_attention_heads != null ? "num_attention_heads" : "attention_head_dim", count, 8);
  const contextWidths = read.perLevel("cross_attention_dim", count, 1280);
  const layers = read.perLevel("layers_per_block", count, 2);
  const transformerLayers = read.perLevel("transformer_layers_per_block", count, 1);
  const levels = channels.map((width, i) => {
    if (width % heads[i] !== 0) read.fail("attention_head_dim", `gives ${heads[i]} heads, which do not divide ${width} channels`);
    return {
      channels: width,
      heads: heads[i],
      contextWidth: contextWidths[i],
      layers: layers[i],
      transformerLayers: transformerLayers[i],
      downAttention: down[i],
      upAttention: up[i],
    };
  });
  return {
    inChannels: read.number("in_channels", 4),
    outChannels: read.number("out_channels", 4),
    sampleSize: read.number("sample_size", 64),
    groups: read.number("norm_num_groups", 32),
    eps: read.number("norm_eps", 1e-5),
    flipSinToCos: read.boolean("flip_sin_to_cos", true),
    freqShift: read.number("freq_shift", 0),
    linearProjection: read.boolean("use_linear_projection", false),
    midAttention: config.mid_block_type !== "UNetMidBlock2D",
    levels,
  };
}
