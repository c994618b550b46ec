import type { BertConfig } from "../../src/models/bert.ts";
import type { UNetConfig } from "../../src/models/unet_config.ts";
import type { VaeConfig } from "../../src/models/vae.ts";
import type { Layer, Ops, Padding, Weight } from "./engine.ts";

/** Every side alike. */
export const around: Padding = [1, 1, 1, 1];
const none: Padding = [0, 0, 0, 0];

const layer = (name: string, shape: readonly number[], bias = true): Layer => ({
  weight: { name: `${name}.weight`, shape },
  ...(bias && { bias: { name: `${name}.bias`, shape: [shape[0]] } }),
});
export const dense = (name: string, inputs: number, outputs: number, bias = true) => layer(name, [outputs, inputs], bias);
export const convolution = (name: string, inputs: number, outputs: number, side = 3) => layer(name, [outputs, inputs, side, side]);
export const norm = (name: string, channels: number) => layer(name, [channels]);

/** The sizes that blocks share. */
export interface Sizes {
  groups: number;
  eps: number;
}

/** diffusers' ResnetBlock2D; `time` is SiLU of the time embedding and its width. */
export function resnet<T>(ops: Ops<T>, name: string, x: T, sizes: Sizes & { inputs: number; outputs: number; time?: { embedding: T; width: number } }): T {
  const { inputs, outputs, groups, eps, time } = sizes;
  const normalised = ops.groupNorm(x, norm(`${name}.norm1`, inputs), { groups, eps, silu: true });
  const first = ops.conv2d(normalised, convolution(`${name}.conv1`, inputs, outputs), { padding: around });
  const shifted = time ? ops.addToPixels(first, ops.linear(time.embedding, dense(`${name}.time_emb_proj`, time.width, outputs))) : first;
  const second = ops.conv2d(ops.groupNorm(shifted, norm(`${name}.norm2`, outputs), { groups, eps, silu: true }), convolution(`${name}.conv2`, outputs, outputs), { padding: around });
  const shortcut = inputs === outputs ? x : ops.conv2d(x, convolution(`${name}.conv_shortcut`, inputs, outputs, 1), { padding: none });
  return ops.add(shortcut, second);
}

interface TransformerSizes {
  width: number;
  heads: number;
  contextWidth: number;
  groups: number;
  height: number;
}

/** diffusers' Transformer2DModel of one block, with 1x1 convolutions as projections. */
export function transformer<T>(ops: Ops<T>, name: string, x: T, text: T, { width, heads, contextWidth, groups, height }: TransformerSizes): T {
  const block = `${name}.transformer_blocks.0`;
  const project = (image: T, at: string) => ops.conv2d(image, convolution(`${name}.${at}`, width, width, 1), { padding: none });
  const attend = (at: string, y: T, context: T, contextChannels: number) => {
    const to = (part: string, from: T, channels: number) => ops.linear(from, dense(`${block}.${at}.to_${part}`, channels, width, false));
    const out = ops.attention(to("q", y, width), to("k", context, contextChannels), to("v", context, contextChannels), heads);
    return ops.linear(out, dense(`${block}.${at}.to_out.0`, width, width));
  };
  const normed = (at: string, y: T) => ops.layerNorm(y, norm(`${block}.${at}`, width), 1e-5);
  const x0 = ops.tokens(project(ops.groupNorm(x, norm(`${name}.norm`, width), { groups, eps: 1e-6 }), "proj_in"));
  const n1 = normed("norm1", x0);
  const x1 = ops.add(x0, attend("attn1", n1, n1, width));
  const x2 = ops.add(x1, attend("attn2", normed("norm2", x1), text, contextWidth));
  const gated = ops.geglu(normed("norm3", x2), dense(`${block}.ff.net.0.proj`, width, 8 * width));
  const x3 = ops.add(x2, ops.linear(gated, dense(`${block}.ff.net.2`, 4 * width, width)));
  return ops.add(x, project(ops.image(x3, height, height), "proj_out"));
}

/** transformers' BertModel without a mask: ids [1, N] to [1, N, width]. */
export function bert<T>(ops: Ops<T>, ids: T, length: number, config: BertConfig): T {
  const { width, heads, intermediate, layers, eps } = config;
  const row = (name: string, rows: number, at: (i: number) => number): T => {
    const indices: Weight = { name: `${name} ids`, shape: [1, length], values: Float32Array.from({ length }, (_, i) => at(i)) };
    return ops.embedding(ops.constant(indices), { name: `embeddings.${name}.weight`, shape: [rows, width] });
  };
  const words = ops.embedding(ids, { name: "embeddings.word_embeddings.weight", shape: [config.vocabSize, width] });
  const summed = ops.add(ops.add(words, row("token_type_embeddings", config.tokenTypes, () => 0)), row("position_embeddings", config.positions, (i) => i));
  let x = ops.layerNorm(summed, norm("embeddings.LayerNorm", width), eps);
  for (let i = 0; i < layers; i++) {
    const at = `encoder.layer.${i}`;
    const part = (name: string) => ops.linear(x, dense(`${at}.attention.self.${name}`, width, width));
    const attended = ops.linear(ops.attention(part("query"), part("key"), part("value"), heads), dense(`${at}.attention.output.dense`, width, width));
    const h = ops.layerNorm(ops.add(x, attended), norm(`${at}.attention.output.LayerNorm`, width), eps);
    const wide = ops.linear(h, dense(`${at}.intermediate.dense`, width, intermediate), "gelu");
    x = ops.layerNorm(ops.add(h, ops.linear(wide, dense(`${at}.output.dense`, intermediate, width))), norm(`${at}.output.LayerNorm`, width), eps);
  }
  return x;
}

/** diffusers' UNet2DConditionModel: sample [1, side, side, in] and text [1, N, context] at a timestep. */
export function unet<T>(ops: Ops<T>, sample: T, text: T, { side, timestep, config }: { side: number; timestep: number; config: UNetConfig }): T {
  const { levels, groups, eps } = config;
  const first = levels[0].channels;
  const width = 4 * first;
  const sinusoids = ops.constant({ name: `sinusoids ${timestep}`, shape: [1, first], values: sinusoidsOf(timestep, first) });
  const hidden = ops.linear(sinusoids, dense("time_embedding.linear_1", first, width), "silu");
  const time = { embedding: ops.linear(hidden, dense("time_embedding.linear_2", width, width), "silu"), width };
  const attend = (name: string, y: T, level: (typeof levels)[number], height: number) => transformer(ops, name, y, text, { ...level, width: level.channels, groups, height });

  let x = ops.conv2d(sample, convolution("conv_in", config.inChannels, first), { padding: around });
  let [channels, height] = [first, side];
  const skips = [{ x, channels }];
  levels.forEach((level, i) => {
    for (let j = 0; j < level.layers; j++) {
      x = resnet(ops, `down_blocks.${i}.resnets.${j}`, x, { inputs: channels, outputs: level.channels, groups, eps, time });
      channels = level.channels;
      if (level.downAttention) x = attend(`down_blocks.${i}.attentions.${j}`, x, level, height);
      skips.push({ x, channels });
    }
    if (i === levels.length - 1) return;
    x = ops.conv2d(x, convolution(`down_blocks.${i}.downsamplers.0.conv`, channels, channels), { padding: around, stride: 2 });
    height /= 2;
    skips.push({ x, channels });
  });
  x = resnet(ops, "mid_block.resnets.0", x, { inputs: channels, outputs: channels, groups, eps, time });
  if (config.midAttention) {
    x = attend("mid_block.attentions.0", x, levels[levels.length - 1], height);
    x = resnet(ops, "mid_block.resnets.1", x, { inputs: channels, outputs: channels, groups, eps, time });
  }
  levels.toReversed().forEach((level, i) => {
    for (let j = 0; j <= level.layers; j++) {
      const skip = skips.pop() as (typeof skips)[number];
      x = resnet(ops, `up_blocks.${i}.resnets.${j}`, ops.concat(x, skip.x), { inputs: channels + skip.channels, outputs: level.channels, groups, eps, time });
      channels = level.channels;
      if (level.upAttention) x = attend(`up_blocks.${i}.attentions.${j}`, x, level, height);
    }
    if (i === levels.length - 1) return;
    x = ops.conv2d(ops.upsample(x), convolution(`up_blocks.${i}.upsamplers.0.conv`, channels, channels), { padding: around });
    height *= 2;
  });
  const normalised = ops.groupNorm(x, norm("conv_norm_out", first), { groups, eps, silu: true });
  return ops.conv2d(normalised, convolution("conv_out", first, config.outChannels), { padding: around });
}

/** Cosines, then sines, of a timestep. */
function sinusoidsOf(timestep: number, width: number): Float32Array {
  const half = width / 2;
  return Float32Array.from({ length: width }, (_, i) => {
    const angle = timestep * Math.exp((-Math.log(10_000) * (i % half)) / half);
    return i < half ? Math.cos(angle) : Math.sin(angle);
  });
}

/** The encoder of diffusers' AutoencoderKL: image [1, H, W, in] to moments [1, h, w, 2 * latent]. */
export function vaeEncoder<T>(ops: Ops<T>, image: T, config: VaeConfig): T {
  const { channels: widths, groups, layers, latentChannels } = config;
  const shared = { groups, eps: 1e-6 };
  const last = widths[widths.length - 1];
  let x = ops.conv2d(image, convolution("encoder.conv_in", config.inChannels, widths[0]), { padding: around });
  let channels = widths[0];
  widths.forEach((outputs, i) => {
    for (let j = 0; j < layers; j++) {
      x = resnet(ops, `encoder.down_blocks.${i}.resnets.${j}`, x, { ...shared, inputs: channels, outputs });
      channels = outputs;
    }
    if (i < widths.length - 1) x = ops.conv2d(x, convolution(`encoder.down_blocks.${i}.downsamplers.0.conv`, channels, channels), { padding: [0, 0, 1, 1], stride: 2 });
  });
  const mid = { ...shared, inputs: last, outputs: last };
  x = resnet(ops, "encoder.mid_block.resnets.0", x, mid);
  if (config.midAttention) x = vaeAttention(ops, "encoder.mid_block.attentions.0", x, { ...shared, channels: last, height: config.sampleSize / 2 ** (widths.length - 1) });
  x = resnet(ops, "encoder.mid_block.resnets.1", x, mid);
  const normalised = ops.groupNorm(x, norm("encoder.conv_norm_out", last), { ...shared, silu: true });
  const moments = ops.conv2d(normalised, convolution("encoder.conv_out", last, 2 * latentChannels), { padding: around });
  return config.quantConv ? ops.conv2d(moments, convolution("quant_conv", 2 * latentChannels, 2 * latentChannels, 1), { padding: none }) : moments;
}

function vaeAttention<T>(ops: Ops<T>, name: string, x: T, sizes: Sizes & { channels: number; height: number }): T {
  const { channels, height } = sizes;
  const tokens = ops.tokens(ops.groupNorm(x, norm(`${name}.group_norm`, channels), sizes));
  const to = (part: string, from: T) => ops.linear(from, dense(`${name}.to_${part}`, channels, channels));
  const out = to("out.0", ops.attention(to("q", tokens), to("k", tokens), to("v", tokens), 1));
  return ops.add(x, ops.image(out, height, height));
}
