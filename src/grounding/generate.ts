import type { Picture } from "../data/draw.ts";
import type { Film } from "../data/film.ts";
import { planPreprocess } from "../data/preprocess.ts";
import { type OverlayOptions, overlay } from "../data/render.ts";
import { InputError } from "../errors.ts";
import type { LatentDiffusion } from "../models/ldm.ts";
import { copyInto, scale, sliceLast } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { firstAlternative } from "../text/captions.ts";
import type { ChosenWord } from "../text/token_choice.ts";
import { automaticBatch, withBatch } from "./batch.ts";
import { type FinalMap, finalMaps } from "./final_maps.ts";
import { lastStepWeights } from "./main_pass.ts";
import { MapSink, captureLayers } from "./map_sink.ts";
import { SeededNoise } from "./noise.ts";
import { type GroundSettings, completeSettings } from "./options.ts";
import { sampledPass } from "./passes.ts";
import { type PreparedPhrase, encodeTexts, preparePhrase, setWeights } from "./phrases.ts";
import type { GroundOptions } from "./pipeline.ts";

/** An image to make. */
export interface GenerateRequest {
  /** Of alternatives parted by `|` the first is taken. */
  prompt: string;
  /** Prompt and seed make the image, whatever else is made with it. */
  seed: number;
}

/** Options of `generate`. */
export interface GenerateOptions extends Pick<GroundOptions, "steps" | "batch" | "signal" | "onProgress"> {
  /** Guidance scale; 1 leaves the unconditional branch out. Default 7.5. */
  guidance?: number;
  /** Also read the attention of every word while the image is made. */
  perWord?: boolean;
}

/** An image, and where its words looked while it was made. */
export interface GeneratedImage extends GenerateRequest {
  /** RGB, at the model's image size. */
  film: Film;
  /** Where asked for. */
  attention?: GenerationAttention;
  /** A map of the attention in jet colours over the image. */
  overlay(map: Float32Array, options?: OverlayOptions): Picture;
}

/** Attention of a generation: means over all layers and timesteps, each min-max normalised, [side * side] in [0, 1]. */
export interface GenerationAttention {
  /** That of the latent. */
  side: number;
  /** Of the adjectives, nouns and verbs. */
  map: Float32Array;
  /** All words of the prompt in their order. */
  words: {
    /** As the prompt has it, punctuation left out. */
    text: string;
    /** Whether its tokens make the map of the prompt: adjectives, nouns and verbs do, or all words where there are none. */
    kept: boolean;
    /** Mean over the word's pieces; all 0 for a word of which the tokenizer keeps nothing. */
    map: Float32Array;
  }[];
}

/** The guidance scale of diffusers' text-to-image pipelines. */
export const defaultGuidance = 7.5;

/** A prompt ready to be sampled; with its words where their attention is asked for. */
type PreparedPrompt = Pick<PreparedPhrase, "encoding"> & { words?: readonly ChosenWord[]; weights?: Float32Array };

/**
 * Makes images from texts by DDIM with classifier-free guidance. As many run side by side as fill the device; each comes
 * as soon as those are done. Its bytes depend on prompt, seed, steps and guidance alone. The noise is that from which the
 * text bias of the same seed starts. Throws InputError for settings or prompts that cannot be used.
 */
export async function* generateImages(ldm: LatentDiffusion, requests: readonly GenerateRequest[], options: GenerateOptions = {}): AsyncGenerator<GeneratedImage> {
  const { steps, batch, guidance = defaultGuidance, perWord } = options;
  const settings = completeSettings({ steps, batch, guidance, perWord, mode: guidance === 1 ? "text" : "cfg", merge: "none" }, Infinity);
  for (const { prompt, seed } of requests) {
    if (firstAlternative(prompt) === "") throw new InputError("--prompt", "is empty; say what to show");
    completeSettings({ seed }, Infinity);
  }
  const side = ldm.vae.config.sampleSize / ldm.vae.factor;
  const branches = settings.mode === "cfg" ? 2 : 1;
  const wanted = settings.batch === "auto" ? automaticBatch(ldm.gpu, side) : settings.batch;
  const atOnce = Math.max(1, Math.floor(wanted / branches));
  for (let first = 0; first < requests.length; first += atOnce) {
    const some = requests.slice(first, first + atOnce);
    const request = { wanted: settings.batch, latentSide: side, items: branches * some.length };
    const { result } = await withBatch(ldm.gpu, request, (size, { signal, onProgress } = options) => sampleImages(ldm, some, { settings, side, batch: size, signal, onProgress }));
    try {
      for (const [i, each] of some.entries()) {
        const film = await decodeImage(ldm, result.latents, i);
        const plan = planPreprocess(film.width, film.height, film.width);
        yield { ...each, film, attention: result.attention?.[i], overlay: (map, drawing) => overlay(film, map, side, plan, drawing) };
      }
    } finally {
      result.latents.free();
    }
  }
}

interface SampleOptions extends Pick<GroundOptions, "signal" | "onProgress"> {
  settings: GroundSettings;
  side: number;
  batch: number;
}

/** Samples the latents of some images, f32 [images, h, w, C], and their attention where asked for. */
async function sampleImages(ldm: LatentDiffusion, requests: readonly GenerateRequest[], { settings, side, batch, signal, onProgress }: SampleOptions): Promise<{ latents: Tensor; attention?: GenerationAttention[] }> {
  const { gpu, unet, schedule, vae } = ldm;
  const prompts = [...new Set(requests.map(({ prompt }) => prompt))];
  const prepared = await Promise.all(prompts.map((prompt) => preparePrompt(ldm, prompt, settings.perWord)));
  const textOf = requests.map(({ prompt }) => prompts.indexOf(prompt));
  const texts = encodeTexts(ldm, prepared);
  const weights = setWeights(ldm, prepared, ({ words, weights: chosen }) => (words && chosen ? [chosen, [0], ...words.map(({ pieces }) => pieces)] : [[0]]));
  const sink = new MapSink(gpu, {
    layers: settings.perWord ? captureLayers(unet, side, "all") : [],
    weights,
    targets: requests.length,
    timesteps: settings.steps,
    perTimestep: [],
    stopEarly: false,
  });
  const start = startNoise(ldm, requests, side);
  const latents = gpu.empty(start.shape);
  const owned: { free(): void }[] = [texts, weights, sink, start];
  try {
    const pass = sampledPass({
      ldm, sink, start, batch, signal,
      keyValues: texts.keyValues,
      timesteps: schedule.timesteps(settings.steps),
      weights: lastStepWeights(settings.steps, settings.steps),
      texts: textOf,
      guidance: settings.mode === "cfg" ? { scale: settings.guidance, unconditional: texts.unconditional } : undefined,
      steps: settings.steps,
    });
    // What is there after a step is overwritten by the next one: the last one stays.
    for await (const { latent, first, ...progress } of pass) {
      gpu.scope("latents", () => copyInto(latents, latent, first * side * side * vae.config.latentChannels));
      onProgress?.({ stage: "main pass", ...progress });
    }
    if (!settings.perWord) return { latents };
    const maps = await finalMaps({ sink, bias: [], settings, side, targets: textOf.map((text) => ({ image: 0, text })) });
    return { latents, attention: maps.map((map, i) => attentionOf(map, prepared[textOf[i]].words ?? [], side)) };
  } catch (error) {
    latents.free();
    throw error;
  } finally {
    for (const thing of owned) thing.free();
  }
}

async function preparePrompt(ldm: LatentDiffusion, prompt: string, perWord: boolean): Promise<PreparedPrompt> {
  if (!perWord) return { encoding: ldm.tokenizer.encode(firstAlternative(prompt)) };
  const { encoding, choice } = await preparePhrase(ldm, prompt, { tokens: "lexical", reading: "paper" });
  return { encoding, words: choice.words, weights: choice.weights };
}

/** Gaussian noise of every image's own seed: f32 [images, h, w, C]. */
function startNoise({ gpu, vae }: LatentDiffusion, requests: readonly GenerateRequest[], side: number): Tensor {
  const shape = [side, side, vae.config.latentChannels];
  return gpu.scope("start", () => {
    const all = gpu.empty([requests.length, ...shape]);
    for (const [i, { seed }] of requests.entries()) {
      const one = new SeededNoise(gpu, seed).start([1, ...shape], [0]);
      copyInto(all, one, i * one.size);
    }
    return all;
  });
}

/** One image of [images, h, w, C] latents. The VAE's activations are the largest of all: one at a time. */
async function decodeImage({ gpu, vae }: LatentDiffusion, latents: Tensor, i: number): Promise<Film> {
  const [, height, width, channels] = latents.shape;
  const size = height * width * channels;
  const image = gpu.scope("image", () => {
    const latent = sliceLast(latents.reshape(1, latents.size), i * size, (i + 1) * size).reshape(1, height, width, channels);
    return vae.decode(scale(latent, 1 / vae.config.scalingFactor));
  });
  const values = await image.read();
  const [, imageHeight, imageWidth] = image.shape;
  image.free();
  // Assigning to a clamped array rounds and keeps to 0 ... 255.
  const pixels = Uint8ClampedArray.from(values, (value) => 127.5 * (value + 1));
  return { name: "generated", width: imageWidth, height: imageHeight, channels: 3, data: new Uint8Array(pixels.buffer), notes: [] };
}

function attentionOf({ map, words }: FinalMap, chosen: readonly ChosenWord[], side: number): GenerationAttention {
  return { side, map, words: chosen.map(({ text, kept }, i) => ({ text, kept, map: words[i] })) };
}
