import type { Film } from "../data/film.ts";
import { mostItems, withBatch } from "../grounding/batch.ts";
import { encodeImages } from "../grounding/encode_images.ts";
import { type Moments, mainPass } from "../grounding/main_pass.ts";
import { type CaptureLayer, MapSink, captureLayers } from "../grounding/map_sink.ts";
import { SeededNoise } from "../grounding/noise.ts";
import type { GroundSettings, Mode } from "../grounding/options.ts";
import type { Target } from "../grounding/passes.ts";
import { gatherBiases, textBias } from "../grounding/phrase_bias.ts";
import { type EncodedTexts, type PreparedPhrase, encodeTexts, preparePhrase, setWeights } from "../grounding/phrases.ts";
import type { GroundOptions, GroundRequest, GroundingPipeline } from "../grounding/pipeline.ts";
import { imageKey, prepareImage } from "../grounding/prepare_image.ts";
import type { LayerMaps } from "../ops/grounding.ts";
import type { Tensor } from "../tensor.ts";
import type { TokenChoice } from "../text/token_choice.ts";
import { type SweepGrid, lastStepsOf } from "./grid.ts";
import { type CapturedLayer, type LayerMeans, reduceToMeans } from "./layer_means.ts";

/** A film and a phrase to find in it. */
export interface SweepRequest extends GroundRequest {
  /** The disease, for the token choice of that name; without one it takes all tokens, as where no word of it is found. */
  label?: string;
}

/** One pass over the U-Net and what all settings of its mode and steps are made of. */
export interface CapturedPass {
  /** How the pass was sampled: one of the grid's modes. */
  mode: Mode;
  /** Its timesteps T: one of the grid's. */
  steps: number;
  /** Valid until the next pass is asked for. */
  means: LayerMeans;
  /** U-Net evaluations of single items, those of the text bias included where this pass was the first to need it. */
  evaluations: number;
}

/** A phrase with its tokens under every token choice of the grid. */
export interface SweepPhrase extends Pick<PreparedPhrase, "phrase" | "encoding"> {
  choices: readonly TokenChoice[];
}

/** Options of `capturePasses`. */
export type CaptureOptions = Pick<GroundOptions, "signal" | "onProgress">;

/** What the passes of some requests share. */
interface Shared {
  pipeline: GroundingPipeline;
  grid: SweepGrid;
  options: CaptureOptions;
  phrases: readonly SweepPhrase[];
  targets: readonly Target[];
  texts: EncodedTexts;
  noise: SeededNoise;
  moments?: Moments;
  imageKeys: readonly number[];
  layers: readonly CaptureLayer[];
  side: number;
}

/** Bytes that the single timesteps of one pass may take on the device. */
const passBytes = 256 * 2 ** 20;

/**
 * How many requests a sweep takes at once: their single timesteps are on the device together, one map a timestep, layer and
 * token choice, at the layer's own side (38 MB a request for Stable Diffusion 1.5, 50 steps and three token choices).
 */
export function requestsAtOnce({ ldm }: GroundingPipeline, { tokens, steps }: Pick<SweepGrid, "tokens" | "steps">): number {
  const layers = captureLayers(ldm.unet, ldm.vae.config.sampleSize / ldm.vae.factor, "all");
  const pixels = layers.reduce((sum, { side }) => sum + side ** 2, 0);
  const bytes = 4 * pixels * Math.max(...steps) * (2 * tokens.length + 1);
  return Math.max(1, Math.min(16, Math.floor(passBytes / bytes)));
}

/** Tokenises the phrase of a request and chooses its tokens in every way of the grid. Throws InputError for a phrase or label that cannot be used. */
export async function prepareSweepPhrase({ ldm }: GroundingPipeline, { phrase, label }: Pick<SweepRequest, "phrase" | "label">, { tokens, reading }: Pick<SweepGrid, "tokens" | "reading">): Promise<SweepPhrase> {
  const usable = tokens.map((choice) => (choice === "disease" && label === undefined ? "all" : choice));
  const prepared = await Promise.all(usable.map((choice) => preparePhrase(ldm, phrase, { tokens: choice, label, reading })));
  return { phrase: prepared[0].phrase, encoding: prepared[0].encoding, choices: prepared.map(({ choice }) => choice) };
}

/**
 * Runs one pass over the U-Net for each mode and number of steps of the grid, for all requests together. All share the
 * latents and the texts; the modes of one number of steps share the text bias. Modes follow each other within the steps.
 */
export async function* capturePasses(pipeline: GroundingPipeline, requests: readonly SweepRequest[], grid: SweepGrid, options: CaptureOptions = {}): AsyncGenerator<CapturedPass> {
  const { ldm } = pipeline;
  const { gpu, vae } = ldm;
  const side = vae.config.sampleSize / vae.factor;
  const { phrases, films, targets } = await distinct(pipeline, requests, grid);
  const texts = encodeTexts(ldm, phrases);
  const noise = new SeededNoise(gpu, grid.seed);
  const owned: { free(): void }[] = [texts, noise];
  try {
    const images = films.map((film) => prepareImage(film, vae.config.sampleSize));
    const moments = grid.modes.some(looksAtImage) ? await encodeImages(ldm, images, options) : undefined;
    if (moments) owned.push(moments.mean, moments.logvar);
    const layers = captureLayers(ldm.unet, side, "all");
    const shared: Shared = { pipeline, grid, options, phrases, targets, texts, noise, moments, imageKeys: images.map(imageKey), layers, side };
    for (const steps of grid.steps) yield* passesOf(shared, steps);
  } finally {
    for (const thing of owned) thing.free();
  }
}

const looksAtImage = (mode: Mode) => mode === "gt" || mode === "gt1";

/** In CFG mode the pass is itself one from noise: its chosen tokens are the text bias. */
const needsTextBias = (mode: Mode) => mode !== "cfg";

/** The passes of one number of steps. */
async function* passesOf(shared: Shared, steps: number): AsyncGenerator<CapturedPass> {
  const isBiased = shared.grid.merges.some((merge) => merge !== "none");
  let txt: LayerMaps[][] | undefined;
  try {
    for (const mode of shared.grid.modes) {
      let evaluations = 0;
      if (isBiased && needsTextBias(mode) && !txt) {
        const bias = await captureTextBias(shared, steps);
        txt = bias.maps;
        evaluations += 2 * steps * bias.computed;
      }
      const pass = await capturePass(shared, { mode, steps, isBiased, txt: needsTextBias(mode) ? txt : undefined });
      try {
        yield { mode, steps, means: pass.means, evaluations: evaluations + pass.evaluations };
      } finally {
        pass.means.free();
      }
    }
  } finally {
    for (const { maps } of txt?.flat() ?? []) maps.free();
  }
}

/** P_txt by token choice and layer: f32 [targets, T, side * side]. `computed`: texts that had to be sampled. */
async function captureTextBias(shared: Shared, steps: number): Promise<{ maps: LayerMaps[][]; computed: number }> {
  const { pipeline, grid, options, phrases, targets, layers } = shared;
  const { ldm, store } = pipeline;
  const count = grid.tokens.length;
  const requests = phrases.flatMap(({ phrase, choices }, text) => choices.map((choice) => ({ text, phrase, choice })));
  const { result } = await withBatch(ldm.gpu, batchRequest(shared, { mode: "cfg", steps }, phrases.length), (batch, watching: CaptureOptions = options) =>
    textBias({
      ...shared, ldm, store, layers, requests, batch,
      settings: { ...grid, steps },
      latentShape: latentShape(shared),
      signal: watching.signal,
      onProgress: (progress) => watching.onProgress?.({ stage: "text bias", ...progress }),
    }),
  );
  const maps = grid.tokens.map((_, token) => gatherBiases(result.maps, targets.map(({ text }) => text * count + token)));
  for (const { maps: ofRequests } of result.maps) ofRequests.free();
  return { maps, computed: result.computed };
}

interface PassPlan {
  mode: Mode;
  steps: number;
  isBiased: boolean;
  /** P_txt by token choice and layer; absent where the pass makes it itself, or there is no merging. */
  txt?: LayerMaps[][];
}

/** Runs the pass of one mode and reduces it to its means. */
async function capturePass(shared: Shared, plan: PassPlan): Promise<{ means: LayerMeans; evaluations: number }> {
  const { mode, steps } = plan;
  const { grid, options, pipeline, targets } = shared;
  const request = batchRequest(shared, { mode, steps }, targets.length);
  const { gpu } = pipeline.ldm;
  const { result } = await withBatch(gpu, request, (batch, watching: CaptureOptions = options) => runPass(shared, plan, batch, watching));
  const { sink, evaluations } = result;
  const lastSteps = lastStepsOf(grid.lastSteps, steps);
  const means = gpu.scope("reduce", () => reduceToMeans(capturedLayers(sink, shared, plan), { lastSteps, side: shared.side }));
  sink.free();
  return { means, evaluations };
}

/** Runs the pass of one mode; the sink keeps every timestep of all token choices and, for merging, of the start token. */
async function runPass(shared: Shared, { mode, steps, isBiased }: PassPlan, batch: number, options: CaptureOptions): Promise<{ sink: MapSink; evaluations: number }> {
  const { pipeline, grid, phrases, targets, layers } = shared;
  const { ldm } = pipeline;
  const weights = setWeights(ldm, phrases, ({ choices }) => [...choices.map((choice) => choice.weights), ...(isBiased ? [[0]] : [])]);
  const perTimestep = Array.from({ length: weights.shape[1] }, (_, set) => set);
  const sink = new MapSink(ldm.gpu, { layers, weights, targets: targets.length, timesteps: steps, perTimestep, stopEarly: mode === "gt" });
  try {
    let evaluations = 0;
    const pass = mainPass({
      ...shared, ldm, sink, batch,
      settings: { mode, steps, guidance: grid.guidance },
      latentShape: latentShape(shared),
      weights: Array<number>(steps).fill(0),
      signal: options.signal,
    });
    for await (const { done, total } of pass) {
      evaluations = done;
      options.onProgress?.({ stage: "main pass", done, total });
    }
    return { sink, evaluations };
  } catch (error) {
    sink.free();
    throw error;
  } finally {
    weights.free();
  }
}

function capturedLayers(sink: MapSink, { layers, grid, targets }: Shared, { steps, isBiased, txt }: PassPlan): CapturedLayer[] {
  return layers.map(({ name, side }, l) => {
    const timestepsOf = (set: number) => (sink.perTimestep.get(set)?.get(name) as Tensor).reshape(targets.length, steps, side ** 2);
    const chosen = grid.tokens.map((_, token) => timestepsOf(token));
    const biases = isBiased ? { start: timestepsOf(grid.tokens.length), txt: txt?.map((ofLayers) => ofLayers[l].maps) ?? chosen } : undefined;
    return { name, side, chosen, biases };
  });
}

const latentShape = ({ side, pipeline }: Shared) => [side, side, pipeline.ldm.vae.config.latentChannels];

const batchRequest = ({ grid, side }: Shared, settings: Pick<GroundSettings, "mode" | "steps">, maps: number) => ({ wanted: grid.batch, latentSide: side, items: mostItems(settings, maps) });

/** Distinct phrases (one text a phrase and label) and films of the requests, and which of them each request means. */
async function distinct(pipeline: GroundingPipeline, requests: readonly SweepRequest[], grid: SweepGrid): Promise<{ phrases: SweepPhrase[]; films: Film[]; targets: Target[] }> {
  const phrases: SweepPhrase[] = [];
  const textOf = new Map<string, number>();
  const films = [...new Set(requests.map(({ film }) => film))];
  const keyOf = ({ phrase, label }: SweepRequest) => JSON.stringify([phrase, label]);
  for (const request of requests) {
    if (textOf.has(keyOf(request))) continue;
    textOf.set(keyOf(request), phrases.length);
    phrases.push(await prepareSweepPhrase(pipeline, request, grid));
  }
  return { phrases, films, targets: requests.map((request) => ({ image: films.indexOf(request.film), text: textOf.get(keyOf(request)) as number })) };
}
