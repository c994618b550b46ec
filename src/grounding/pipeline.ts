import type { Film } from "../data/film.ts";
import type { LatentDiffusion } from "../models/ldm.ts";
import { mostItems, withBatch } from "./batch.ts";
import { encodeImages } from "./encode_images.ts";
import { finalMaps } from "./final_maps.ts";
import { type GenerateOptions, type GenerateRequest, type GeneratedImage, generateImages } from "./generate.ts";
import { SeededNoise } from "./noise.ts";
import { type GroundSettings, completeSettings } from "./options.ts";
import type { PassProgress, Target } from "./passes.ts";
import { type BiasStore, MemoryBiasStore } from "./phrase_bias.ts";
import { type PreparedPhrase, encodeTexts, preparePhrase } from "./phrases.ts";
import { imageKey, prepareImage } from "./prepare_image.ts";
import { type GroundResult, makeResult } from "./result.ts";
import { runPasses } from "./run_passes.ts";
import { publishedCost } from "./savings.ts";
import { Stopwatch } from "./stopwatch.ts";
import { streamMaps } from "./stream.ts";

/** What happens at the moment: a stage and how far it is. */
export interface GroundProgress extends PassProgress {
  /** The VAE's encoding of the films, the pass that makes the map, or the one from noise for the text bias. */
  stage: "encode" | "main pass" | "text bias";
}

/** Options of a grounding: settings, and how to watch and stop it. */
export interface GroundOptions extends Partial<GroundSettings> {
  /** Ends the grounding before its next batch; it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Called as evaluations are done. */
  onProgress?: (progress: GroundProgress) => void;
  /** Called after every batch of the main pass with the maps so far, P_comb min-max normalised, one a request. */
  onPartial?: (maps: Float32Array[], progress: PassProgress) => void;
}

/** A film and a phrase to find in it. */
export interface GroundRequest {
  /** Requests of one film object share its latent. */
  film: Film;
  /** Of alternatives parted by `|` the first is taken; an empty one throws InputError. */
  phrase: string;
}

/** A map of `groundStream`, after `done` of `total` evaluations; the last one comes with the result. */
export interface StreamedMap extends PassProgress {
  /** [side * side] in [0, 1], min-max normalised: P_comb so far, in the end the result's map. */
  map: Float32Array;
  /** Of the last map; absent before. */
  result?: GroundResult;
}

/** Grounds phrases in films with a latent diffusion model. */
export class GroundingPipeline {
  /** The model; `free` gives its memory back. */
  readonly ldm: LatentDiffusion;
  /** Where text biases are kept between calls. */
  readonly store: BiasStore;

  /** `store` keeps text biases between calls; in memory by default. */
  constructor(ldm: LatentDiffusion, options: { store?: BiasStore } = {}) {
    this.ldm = ldm;
    this.store = options.store ?? new MemoryBiasStore();
  }

  /** Where `phrase` points in `film`. Throws InputError for settings or phrases that cannot be used. */
  async ground(film: Film, phrase: string, options: GroundOptions = {}): Promise<GroundResult> {
    return (await this.groundMany([{ film, phrase }], options))[0];
  }

  /** Grounds several requests at once: phrases on one film share its latent, all share the batches. */
  async groundMany(requests: readonly GroundRequest[], options: GroundOptions = {}): Promise<GroundResult[]> {
    const { ldm } = this;
    const { gpu, vae, unet } = ldm;
    const settings = completeSettings(options, unet.crossAttentions.length);
    const watch = new Stopwatch();
    const before = { flops: gpu.flopsSubmitted, bytesReadBack: gpu.bytesReadBack };
    const side = vae.config.sampleSize / vae.factor;

    // 1. Text: tokens, their choice, encoder, keys and values of every layer
    const { phrases, films, targets } = await this.#distinct(requests, settings);
    const texts = encodeTexts(ldm, phrases);
    const noise = new SeededNoise(gpu, settings.seed);
    const owned: { free(): void }[] = [texts, noise];
    try {
      // 2. Images to latents
      const images = films.map((film) => prepareImage(film, vae.config.sampleSize));
      const usesImage = settings.mode === "gt" || settings.mode === "gt1";
      const moments = usesImage ? await watch.time("encode", () => encodeImages(ldm, images, options)) : undefined;
      if (moments) owned.push(moments.mean, moments.logvar);

      // 3. The pass whose attention makes the map, and the one that makes the text bias
      const request = { wanted: settings.batch, latentSide: side, items: mostItems(settings, requests.length) };
      const run = await withBatch(gpu, request, (batch, watching = options) =>
        runPasses({ ldm, settings, options: watching, phrases, targets, texts, noise, moments, imageKeys: images.map(imageKey), side, batch, watch, store: this.store }),
      );
      owned.push(run.result);

      // 4. Merge, read back, mask
      const maps = await watch.time("merge", () => finalMaps({ ...run.result, settings, side, targets }));
      const cost = {
        unetEvaluations: run.result.evaluations,
        flops: gpu.flopsSubmitted - before.flops,
        bytesReadBack: gpu.bytesReadBack - before.bytesReadBack,
        published: publishedCost(ldm, { requests: requests.length, steps: settings.steps, side }),
      };
      return requests.map(({ film }, i) =>
        makeResult({ film, phrase: phrases[targets[i].text], settings, side, imageSize: vae.config.sampleSize, maps: maps[i], batch: run.batch, timings: watch.times, cost }),
      );
    } finally {
      for (const thing of owned) thing.free();
    }
  }

  /**
   * The maps so far as timesteps arrive; the last value is the finished result's map. Leaving the loop early stops
   * the work.
   */
  groundStream(film: Film, phrase: string, options: GroundOptions = {}): AsyncGenerator<StreamedMap> {
    return streamMaps((watched) => this.ground(film, phrase, watched), options);
  }

  /** Makes images from texts: see `generateImages`. */
  generate(requests: readonly GenerateRequest[], options: GenerateOptions = {}): AsyncGenerator<GeneratedImage> {
    return generateImages(this.ldm, requests, options);
  }

  /** Gives the model's memory back. */
  free(): void {
    this.ldm.free();
  }

  /** Distinct phrases and films of the requests, and which of them each request means. */
  async #distinct(requests: readonly GroundRequest[], settings: GroundSettings): Promise<{ phrases: PreparedPhrase[]; films: Film[]; targets: Target[] }> {
    const phrases: PreparedPhrase[] = [];
    const textOf = new Map<string, number>();
    const films = [...new Set(requests.map(({ film }) => film))];
    for (const { phrase } of requests) {
      if (textOf.has(phrase)) continue;
      textOf.set(phrase, phrases.length);
      phrases.push(await preparePhrase(this.ldm, phrase, settings));
    }
    const targets = requests.map(({ film, phrase }) => ({ image: films.indexOf(film), text: textOf.get(phrase) as number }));
    return { phrases, films, targets };
  }
}
