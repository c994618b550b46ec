import { basename } from "node:path";
import { readFilm } from "../data/decode_node.ts";
import type { Film } from "../data/film.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Step } from "../gpu/step.ts";
import { encodeImages } from "../grounding/encode_images.ts";
import { defaultSettings } from "../grounding/options.ts";
import { encodeTexts, preparePhrase } from "../grounding/phrases.ts";
import { GroundingPipeline } from "../grounding/pipeline.ts";
import { prepareImage } from "../grounding/prepare_image.ts";
import { type LatentDiffusion, type LatentEncoders, loadLatentDiffusion, loadLatentEncoders } from "../models/ldm.ts";
import type { Float } from "../ops/check.ts";
import { normalNoise } from "../ops/diffusion.ts";
import { cast } from "../ops/pointwise.ts";
import { nodePlatform } from "../platform_node.ts";
import type { Workload } from "./run.ts";
import { trainingWork } from "./train_workload_node.ts";

/** What can be profiled. */
export const workNames = ["ground", "unet", "train", "vae", "text"] as const;
export type WorkName = (typeof workNames)[number];

/** Options of a profiled work. */
export interface WorkOptions {
  what: WorkName;
  /** Folder or URL of a model in the diffusers layout. */
  model: string;
  image: string;
  phrase: string;
  /** Timesteps of ground; how often the others do what they do. */
  steps: number;
  /** Items of one pass. */
  batch: "auto" | number;
  dtype: Float;
  signal?: AbortSignal;
}

/** Loads what the work needs. @throws InputError, WeightsError */
export async function openWork(gpu: Gpu, options: WorkOptions): Promise<Workload> {
  const work = await openers[options.what](gpu, options);
  // Profiles are passed on: where a model lies is its owner's.
  return { ...work, model: basename(work.model) };
}

const openers: Record<WorkName, (gpu: Gpu, options: WorkOptions) => Promise<Workload>> = {
  ground: async (gpu, options) => groundWork(await loadLdm(gpu, options), await readFilm(options.image), options),
  unet: async (gpu, options) => unetWork(await loadLdm(gpu, options), options),
  train: (gpu, options) => trainingWork(gpu, { ...options, batch: options.batch === "auto" ? 1 : options.batch }),
  vae: async (gpu, options) => vaeWork(await loadEncoders(gpu, options), await readFilm(options.image), options),
  text: async (gpu, options) => textWork(await loadEncoders(gpu, options), options),
};

const loadLdm = (gpu: Gpu, { model, dtype, signal }: WorkOptions) => loadLatentDiffusion(gpu, nodePlatform, nodePlatform.openFolder(model), { dtype, signal });
const loadEncoders = (gpu: Gpu, { model, signal }: WorkOptions) => loadLatentEncoders(gpu, nodePlatform, nodePlatform.openFolder(model), { signal });

/** The main job, text bias included: nothing is kept between the runs. */
function groundWork(ldm: LatentDiffusion, film: Film, { phrase, steps, batch, signal }: WorkOptions): Workload {
  return {
    what: "ground",
    title: `one phrase in one film, ${steps} timesteps`,
    model: ldm.name,
    settings: { phrase, steps, batch, dtype: ldm.dtype, mode: defaultSettings.mode },
    run: async () => void (await new GroundingPipeline(ldm).ground(film, phrase, { steps, batch, signal })),
    free: () => ldm.free(),
  };
}

/** Forward passes of the U-Net on noise, recorded once. */
function unetWork(ldm: LatentDiffusion, { phrase, steps, batch, signal }: WorkOptions): Workload {
  const { gpu, unet, vae, dtype } = ldm;
  const items = batch === "auto" ? 1 : batch;
  const side = vae.config.sampleSize / vae.factor;
  let recorded: { step: Step<void>; free(): void } | undefined;
  const record = async () => {
    const texts = encodeTexts(ldm, [await preparePhrase(ldm, phrase, defaultSettings)]);
    const [timesteps, contextOf, noiseOf] = [gpu.tensor(new Float32Array(items).fill(500), [items]), gpu.tensor(new Uint32Array(items), [items]), gpu.tensor(Uint32Array.from({ length: 2 * items }, (_, i) => i), [items, 2])];
    const sample = normalNoise(gpu, [items, side, side, unet.config.inChannels], { seed: 0, stream: 0, items: noiseOf });
    const step = gpu.record("forward", () => void unet.forward(cast(sample, dtype), timesteps, { keyValues: texts.keyValues, contextOf }));
    return { step, free: () => [step, texts, timesteps, contextOf, noiseOf, sample].forEach((thing) => thing.free()) };
  };
  return {
    what: "unet",
    title: `${steps} forward passes of the U-Net on ${items} latents of ${side} x ${side}`,
    model: ldm.name,
    settings: { phrase, passes: steps, batch: items, dtype },
    async run() {
      recorded ??= await record();
      for (let i = 0; i < steps; i++) {
        signal?.throwIfAborted();
        recorded.step.replay();
      }
      await gpu.sync();
    },
    free: () => [recorded, ldm].forEach((thing) => thing?.free()),
  };
}

/** The film into a latent and back. */
function vaeWork(encoders: LatentEncoders, film: Film, { steps, image, signal }: WorkOptions): Workload {
  const { gpu, vae } = encoders;
  const { sampleSize } = vae.config;
  const pixels = prepareImage(film, sampleSize);
  return {
    what: "vae",
    title: `${steps} times encode and decode ${sampleSize} x ${sampleSize} pixels`,
    model: encoders.name,
    settings: { image: basename(image), repeats: steps, dtype: "f32" },
    run: () => repeat(gpu, steps, signal, async () => {
      const { mean, logvar } = await encodeImages(encoders, [pixels], { signal });
      gpu.scope("latent", () => void vae.decode(mean));
      for (const tensor of [mean, logvar]) tensor.free();
    }),
    free: () => encoders.free(),
  };
}

/** The phrase into embeddings. */
function textWork(encoders: LatentEncoders, { phrase, steps, signal }: WorkOptions): Workload {
  const { gpu, textEncoder, tokenizer } = encoders;
  return {
    what: "text",
    title: `${steps} times encode a phrase`,
    model: encoders.name,
    settings: { phrase, repeats: steps, dtype: "f32" },
    run: () => repeat(gpu, steps, signal, () => textEncoder.encode(gpu, [tokenizer.encode(phrase)], { masked: true, dtype: "f32" }).free()),
    free: () => encoders.free(),
  };
}

async function repeat(gpu: Gpu, times: number, signal: AbortSignal | undefined, work: () => Promise<void> | void): Promise<void> {
  for (let i = 0; i < times; i++) {
    signal?.throwIfAborted();
    await work();
    await gpu.sync();
  }
}
