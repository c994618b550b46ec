import { checkpoint } from "../autograd.ts";
import { ShapeError } from "../errors.ts";
import { type Float, floatOf } from "../ops/check.ts";
import { timestepEmbedding } from "../ops/embed.ts";
import { silu } from "../ops/pointwise.ts";
import type { Named } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { Conv2d, GroupNorm, Linear, consume } from "./layers.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";
import { ResnetBlock2D } from "./resnet_block.ts";
import { type CrossAttention, type KeyValues, type TextContext, Transformer2DModel } from "./transformer.ts";
import type { UNetConfig, UNetLevel } from "./unet_config.ts";

/** Options of a pass. */
export interface UNetPassOptions {
  /** In training: keep of each ResNet and transformer its inputs only, and run it again in the backward pass. */
  gradientCheckpointing?: boolean;
}

/** A block of the U-Net: ResNets, each followed by a transformer where the level has attention. */
interface BlockParts {
  resnets: ResnetBlock2D[];
  attentions: Transformer2DModel[];
}

/**
 * diffusers' UNet2DConditionModel (unet_2d_condition.py) on channels-last latents.
 * Module paths are the checkpoint's keys.
 */
export class UNet2DConditionModel implements Model {
  /** What it was built from. */
  readonly config: UNetConfig;
  /** By diffusers' keys, `down_blocks.0.attentions.0.…` and so on. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** None. */
  readonly ignoredKeys = /^$/;
  /** The cross-attention layers in module order: down blocks, mid block, up blocks. */
  readonly crossAttentions: readonly CrossAttention[];

  readonly #convIn: Conv2d;
  readonly #timeLinear1: Linear;
  readonly #timeLinear2: Linear;
  readonly #down: (BlockParts & { downsample?: Conv2d })[];
  readonly #mid: BlockParts;
  readonly #up: (BlockParts & { upsample?: Conv2d })[];
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv2d;

  constructor(config: UNetConfig) {
    this.config = config;
    const p = new ParameterScope();
    this.parameters = p.all;
    const { levels, groups, eps } = config;
    const first = levels[0].channels;
    const last = levels[levels.length - 1];
    const timeChannels = 4 * first;
    this.#convIn = new Conv2d(p.at("conv_in"), config.inChannels, first, { kernel: 3 });
    this.#timeLinear1 = new Linear(p.at("time_embedding.linear_1"), first, timeChannels);
    this.#timeLinear2 = new Linear(p.at("time_embedding.linear_2"), timeChannels, timeChannels);

    const resnet = (scope: ParameterScope, inChannels: number, outChannels: number) => new ResnetBlock2D(scope, { inChannels, outChannels, groups, eps, timeChannels });
    const transformer = (scope: ParameterScope, level: UNetLevel) =>
      new Transformer2DModel(scope, {
        level: levels.indexOf(level),
        width: level.channels,
        heads: level.heads,
        contextWidth: level.contextWidth,
        layers: level.transformerLayers,
        groups,
        linearProjection: config.linearProjection,
      });

    // Down: remember the channels of every output that an up block will read.
    const skipChannels = [first];
    this.#down = levels.map((level, i) => {
      const block = p.at("down_blocks").at(i);
      const resnets = Array.from({ length: level.layers }, (_, j) => resnet(block.at("resnets").at(j), j === 0 ? levels[Math.max(0, i - 1)].channels : level.channels, level.channels));
      const attentions = level.downAttention ? resnets.map((_, j) => transformer(block.at("attentions").at(j), level)) : [];
      skipChannels.push(...resnets.map(() => level.channels));
      if (i === levels.length - 1) return { resnets, attentions };
      skipChannels.push(level.channels);
      return { resnets, attentions, downsample: new Conv2d(block.at("downsamplers.0.conv"), level.channels, level.channels, { kernel: 3, stride: 2, padding: [1, 1, 1, 1] }) };
    });

    const mid = p.at("mid_block");
    const midResnets = config.midAttention ? ["resnets.0", "resnets.1"] : ["resnets.0"];
    this.#mid = {
      resnets: midResnets.map((name) => resnet(mid.at(name), last.channels, last.channels)),
      attentions: config.midAttention ? [transformer(mid.at("attentions.0"), last)] : [],
    };

    // Up: every ResNet reads the skip connection of its mirror image on the way down.
    let channels = last.channels;
    this.#up = levels.toReversed().map((level, i) => {
      const block = p.at("up_blocks").at(i);
      const resnets = Array.from({ length: level.layers + 1 }, (_, j) => {
        const inChannels = channels + (skipChannels.pop() as number);
        channels = level.channels;
        return resnet(block.at("resnets").at(j), inChannels, level.channels);
      });
      const attentions = level.upAttention ? resnets.map((_, j) => transformer(block.at("attentions").at(j), level)) : [];
      if (i === levels.length - 1) return { resnets, attentions };
      return { resnets, attentions, upsample: new Conv2d(block.at("upsamplers.0.conv"), level.channels, level.channels, { kernel: 3 }) };
    });

    this.#normOut = new GroupNorm(p.at("conv_norm_out"), groups, first, eps);
    this.#convOut = new Conv2d(p.at("conv_out"), first, config.outChannels, { kernel: 3 });
    this.crossAttentions = [...this.#down, this.#mid, ...this.#up].flatMap((block) => block.attentions.flatMap((attention) => attention.crossAttentions));
  }

  /** Keys and values of every cross-attention layer for texts [P, N, contextWidth]: once a phrase. */
  projectText(text: Tensor): Map<string, KeyValues> {
    return text.gpu.scope("unet/text", () => new Map(this.crossAttentions.map((layer) => [layer.name, layer.project(text)])));
  }

  /**
   * Predicts the noise (or velocity) in `sample` [B, h, w, in] at `timesteps` f32 [B]: [B, h, w, out].
   * With a sink that is done early, the rest of the pass is left out and nothing is returned.
   * h and w must be multiples of 2^(levels - 1).
   */
  forward(sample: Tensor, timesteps: Tensor, context: TextContext, options: UNetPassOptions = {}): Tensor | undefined {
    this.#checkSample(sample);
    const wrap = options.gradientCheckpointing ? checkpoint : <I extends Named>(inputs: I, fn: (inputs: I) => Tensor) => fn(inputs);
    const convolve = (resnet: ResnetBlock2D, x: Tensor, others: { time: Tensor; skip?: Tensor }) => wrap({ x, ...others }, ({ x, ...others }) => resnet.forward(x, others));
    const attend = (attention: Transformer2DModel | undefined, x: Tensor) => {
      const attended = attention ? wrap({ x }, ({ x }) => attention.forward(x, context)) : x;
      if (attended !== x) x.free(); // nothing else reads what a ResNet gave
      return attended;
    };
    return sample.gpu.scope("unet", () => {
      const { gpu } = sample;
      const done = () => context.sink?.done === true;
      const dtype = floatOf("unet", sample);

      // 1. Time
      const time = gpu.scope("time", () => this.embedTime(timesteps, dtype)); // [B, 4 * first]

      // 2. Pre-process
      let x = this.#convIn.forward(sample); // [B, h, w, first]
      const skips = [x];

      // 3. Down
      for (const [i, block] of this.#down.entries()) {
        const outputs = gpu.scope(`down_blocks.${i}`, () => {
          const kept: Tensor[] = [];
          let y = x;
          for (const [j, resnet] of block.resnets.entries()) {
            y = attend(block.attentions[j], convolve(resnet, y, { time }));
            if (done()) return kept;
            kept.push(y);
          }
          if (block.downsample) kept.push(block.downsample.forward(y));
          return kept;
        });
        if (done()) return undefined;
        skips.push(...outputs);
        x = outputs[outputs.length - 1];
      }

      // 4. Mid
      x = gpu.scope("mid_block", () => {
        const [resnet0, resnet1] = this.#mid.resnets;
        const attended = attend(this.#mid.attentions[0], convolve(resnet0, x, { time }));
        return done() || !resnet1 ? attended : consume(attended, (y) => convolve(resnet1, y, { time }));
      });
      if (done()) return undefined;

      // 5. Up
      for (const [i, block] of this.#up.entries()) {
        x = gpu.scope(`up_blocks.${i}`, () => {
          let y = x;
          for (const [j, resnet] of block.resnets.entries()) {
            const skip = skips.pop() as Tensor;
            y = consume(y, (y) => consume(skip, (skip) => convolve(resnet, y, { time, skip })));
            y = attend(block.attentions[j], y);
            if (done()) return y;
          }
          const { upsample } = block;
          return upsample ? consume(y, (y) => upsample.forward(y, { upsample: true })) : y;
        });
        if (done()) return undefined;
      }

      // 6. Post-process
      return this.#convOut.forward(this.#normOut.forward(x, { silu: true })); // [B, h, w, out]
    });
  }

  /** SiLU of the time embedding, the form in which every ResNet block reads it: [B, 4 * first]. */
  embedTime(timesteps: Tensor, dtype: Float): Tensor {
    const { levels, flipSinToCos, freqShift } = this.config;
    const sinusoids = timestepEmbedding(timesteps, { dim: levels[0].channels, flipSinToCos, freqShift, dtype });
    return silu(this.#timeLinear2.forward(this.#timeLinear1.forward(sinusoids, { activation: "silu" })));
  }

  #checkSample(sample: Tensor): void {
    const [, height, width, channels] = sample.shape;
    const { inChannels, levels } = this.config;
    const multiple = 2 ** (levels.length - 1);
    if (channels !== inChannels) throw new ShapeError("unet", `sample has ${channels} channels, the model takes ${inChannels}`);
    if (height % multiple !== 0 || width % multiple !== 0) throw new ShapeError("unet", `a ${height}x${width} latent is not a multiple of ${multiple} on each side`);
  }
}
