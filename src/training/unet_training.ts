import type { Schedule } from "../diffusion/schedule.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { TextEncoderModel } from "../models/text_encoder.ts";
import type { UNet2DConditionModel } from "../models/unet.ts";
import { latentSample, normalNoise } from "../ops/diffusion.ts";
import type { Tensor } from "../tensor.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { type BatchPosition, dataOrder, slotsOf } from "./data_order.ts";
import { type TimestepTensors, denoisingLoss, offsetNoise, timestepValues } from "./denoising_loss.ts";
import { drawTextIndex, drawTimestep } from "./draws.ts";
import type { Recipe } from "./recipe.ts";

/** Latents and texts to train on, precomputed: what `data precompute` leaves. */
export interface LatentDataset {
  /** Samples, numbered from 0; one or more. */
  readonly count: number;
  /** Height, width and channels of a latent. */
  readonly latentShape: readonly [height: number, width: number, channels: number];
  /** Tokens and channels of a text's embedding. */
  readonly textShape: readonly [tokens: number, width: number];
  /** The texts that a sample's caption leaves the choice of; may be none. */
  texts(sample: number): readonly string[];
  /** Reads mean and log-variance of a sample's latent, unscaled, each [h, w, C]. */
  readMoments(sample: number, into: { mean: Float32Array; logvar: Float32Array }): Promise<void>;
  /** Reads the embedding [N, width] of one of a sample's texts; undefined: of the empty text. */
  readText(sample: number, text: number | undefined, into: Float32Array): Promise<void>;
}

/** The text encoder in the training step: trained, or frozen where embeddings were not kept. */
export interface LiveText {
  /** Computes in the recipe's `dtype` where it is trained, else in f32. */
  readonly encoder: TextEncoderModel;
  /** The encoder's own. */
  readonly tokenizer: Tokenizer;
}

/** What the U-Net's training needs. */
export interface UNetTask {
  /** The U-Net to train, or to train the factors of a LoRA on. */
  readonly unet: UNet2DConditionModel;
  /** Its ᾱ_t noise the latents; its `trainTimesteps` bound the draws. */
  readonly schedule: Schedule;
  /** The VAE's: sampled latents are multiplied by it before noise is added. */
  readonly scalingFactor: number;
  /** Moments of the films' latents, and their texts. */
  readonly data: LatentDataset;
  /** Absent: the embeddings of the data are read. */
  readonly live?: LiveText;
}

/** A loss, the tensors that it reads, and how they are filled. */
export interface TrainingTask {
  /** Records the forward pass of the batch that `fillBatch` left: its mean loss, one value. */
  readonly loss: () => Tensor;
  /** Brings the samples of a position in the run to the device. */
  readonly fillBatch: (position: BatchPosition) => Promise<void>;
  /** Gives back the memory of the batch. */
  readonly free: () => void;
}

/** Uses of noise under one seed. */
const streams = { posterior: 0, diffusion: 1, offset: 2 } as const;

/** Training of the U-Net to predict noise or velocity (method, section 9). */
export function unetTask(gpu: Gpu, recipe: Recipe, task: UNetTask): TrainingTask {
  const { data, schedule } = task;
  const [height, width, channels] = data.latentShape;
  const shape = [recipe.batchSize, height, width, channels];
  const zeros = (...sides: number[]) => gpu.keep(gpu.tensor(new Float32Array(sides.reduce((a, b) => a * b)), sides));
  const items = gpu.keep(gpu.tensor(new Uint32Array(2 * recipe.batchSize), [recipe.batchSize, 2]));
  const moments = { mean: zeros(...shape), logvar: zeros(...shape) };
  const vector = () => zeros(recipe.batchSize);
  const at: TimestepTensors = { timesteps: vector(), sqrtAlpha: vector(), sqrtOneMinusAlpha: vector(), minusSqrtOneMinusAlpha: vector(), weights: vector() };
  const positionItem = gpu.keep(gpu.tensor(Uint32Array.from({ length: recipe.batchSize * height * width }, (_, i) => Math.floor(i / (height * width))), [recipe.batchSize * height * width]));
  const text = task.live ? liveText(gpu, recipe, data, task.live) : storedText(gpu, recipe, data);
  const order = dataOrder(recipe, data.count);

  const noiseOf = (stream: number, sides: readonly number[]) => normalNoise(gpu, sides, { seed: recipe.seed, stream, items });
  const loss = () => {
    // A latent is sampled afresh every time; noise depends on seed, step and slot.
    const z = latentSample(moments.mean, moments.logvar, noiseOf(streams.posterior, shape), task.scalingFactor);
    const plain = noiseOf(streams.diffusion, shape);
    const noise = recipe.noiseOffset > 0 ? offsetNoise(plain, noiseOf(streams.offset, [recipe.batchSize, channels]), positionItem, recipe.noiseOffset) : plain;
    return denoisingLoss(task.unet, { z, noise, text: text.embed() }, at, recipe);
  };

  const fillBatch = async (position: BatchPosition) => {
    const { step } = position;
    const samples = order.batch(position);
    const slots = slotsOf(recipe, position);
    const size = height * width * channels;
    const [mean, logvar] = [new Float32Array(samples.length * size), new Float32Array(samples.length * size)];
    await Promise.all(samples.map((sample, i) => data.readMoments(sample, { mean: mean.subarray(i * size, (i + 1) * size), logvar: logvar.subarray(i * size, (i + 1) * size) })));
    moments.mean.write(mean);
    moments.logvar.write(logvar);
    items.write(Uint32Array.from(slots.flatMap((slot) => [slot, step])));
    const values = timestepValues(schedule, recipe, slots.map((slot) => drawTimestep(recipe, schedule.trainTimesteps, step, slot)));
    for (const name of Object.keys(at) as (keyof TimestepTensors)[]) at[name].write(values[name]);
    await text.fill(samples, slots.map((slot, i) => drawTextIndex(recipe, data.texts(samples[i]).length, step, slot)));
  };

  const tensors = [items, positionItem, ...Object.values(moments), ...Object.values(at)];
  return { loss, fillBatch, free: () => [...tensors, ...text.tensors].forEach((tensor) => tensor.free()) };
}

/** The text side of a batch. */
interface BatchText {
  /** [B, N, width]; called while recording. */
  embed(): Tensor;
  /** Takes one text a sample; undefined: the empty one. */
  fill(samples: readonly number[], texts: readonly (number | undefined)[]): Promise<void>;
  readonly tensors: readonly Tensor[];
}

/** Embeddings from the data. */
function storedText(gpu: Gpu, { batchSize }: Recipe, data: LatentDataset): BatchText {
  const [tokens, width] = data.textShape;
  const embedding = gpu.keep(gpu.empty([batchSize, tokens, width]));
  return {
    embed: () => embedding,
    async fill(samples, texts) {
      const values = new Float32Array(embedding.size);
      await Promise.all(samples.map((sample, i) => data.readText(sample, texts[i], values.subarray(i * tokens * width, (i + 1) * tokens * width))));
      embedding.write(values);
    },
    tensors: [embedding],
  };
}

/** Embeddings computed in the step. The empty text is unmasked, as in guidance, which it is learnt for. */
function liveText(gpu: Gpu, { batchSize, dtype, trainTextEncoder }: Recipe, data: LatentDataset, { encoder, tokenizer }: LiveText): BatchText {
  const shape = [batchSize, tokenizer.length];
  const [ids, mask] = [gpu.keep(gpu.empty(shape, "u32")), gpu.keep(gpu.empty(shape, "u32"))];
  const everywhere = new Int32Array(tokenizer.length).fill(1);
  return {
    embed: () => encoder.forward(ids, { mask, dtype: trainTextEncoder ? dtype : "f32" }),
    async fill(samples, texts) {
      const encodings = samples.map((sample, i) => ({ text: texts[i], encoding: tokenizer.encode(texts[i] === undefined ? "" : data.texts(sample)[texts[i]]) }));
      ids.write(Uint32Array.from(encodings.flatMap(({ encoding }) => [...encoding.ids])));
      mask.write(Uint32Array.from(encodings.flatMap(({ text, encoding }) => [...(text === undefined ? everywhere : encoding.attentionMask)])));
    },
    tensors: [ids, mask],
  };
}
