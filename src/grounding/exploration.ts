import type { Film } from "../data/film.ts";
import { type LayerMaps, mergeMaps, minMaxNormalise, upsampledMean } from "../ops/grounding.ts";
import { full } from "../ops/fill.ts";
import type { Tensor } from "../tensor.ts";
import { mostItems, withBatch } from "./batch.ts";
import { interactionMeans, mergeMeans, roundingOf } from "./bias_merging.ts";
import { encodeImages } from "./encode_images.ts";
import { type MainPassInputs, lastStepWeights, mainPass } from "./main_pass.ts";
import { MapSink, captureLayers, tokenSets } from "./map_sink.ts";
import { normalised } from "./maps.ts";
import { SeededNoise } from "./noise.ts";
import { type GroundSettings, completeSettings } from "./options.ts";
import type { PassProgress } from "./passes.ts";
import { textBias } from "./phrase_bias.ts";
import { type PreparedPhrase, encodeTexts, preparePhrase, setWeights } from "./phrases.ts";
import type { GroundOptions, GroundingPipeline } from "./pipeline.ts";
import { imageKey, prepareImage } from "./prepare_image.ts";

/** What makes a map of what was captured: none of it costs an evaluation of the U-Net. */
export interface MapChoice extends Pick<GroundSettings, "lastSteps" | "layers" | "merge"> {
  /** The s of the merge, in place of the similarity of the two biases. */
  s?: number;
}

/** A map made by choice. */
export interface ExploredMap {
  /** [side * side] in [0, 1]. */
  map: Float32Array;
  /**
   * Standard error of P_comb, [side * side], whose timesteps are its samples, in the same unit as P_comb normalised: how
   * far more timesteps may still move it. NaN where there is one timestep only.
   */
  standardError: Float32Array;
  /** Maps of the single words in the order of the phrase, each min-max normalised. */
  words: Float32Array[];
  /** SSIM of the two biases; undefined without a merge. */
  ssim?: number;
  /** The s that was used: that of the choice, else `ssim` clipped to [0, 1]; undefined without a merge. */
  s?: number;
}

/** What is there while timesteps arrive: P_comb of those of the last `lastSteps` that are done. */
export interface PartialMap extends PassProgress, Pick<ExploredMap, "map" | "standardError"> {
  /** Timesteps in it. */
  timesteps: number;
}

/** Options of `explore`. All layers are captured, and all words. */
export interface ExploreOptions extends Omit<GroundOptions, "layers" | "merge" | "perWord" | "onPartial"> {
  /** Called with the map so far whenever timesteps arrive. */
  onPartial?: (partial: PartialMap) => void;
}

/** Everything that was captured of a phrase in a film, kept on the device. */
export interface Exploration {
  /** Its tokens and words; `choice.words` are in the order of `ExploredMap.words`. */
  readonly phrase: PreparedPhrase;
  /** What was captured with: all layers, every word, and the biases for a merge, whatever a map then takes. */
  readonly settings: GroundSettings;
  /** Side of the maps: that of the latent. */
  readonly side: number;
  /** Side of the model's image in pixels. */
  readonly imageSize: number;
  /** Names of the cross-attention layers, and the sides of their maps. */
  readonly layers: readonly {
    /** Module path of the layer, its `attn2`, as in the checkpoint. */
    name: string;
    /** Side of its maps as captured; maps of a choice are upsampled to the latent's. */
    side: number;
  }[];
  /** The map of a choice, without the U-Net. */
  map(choice: MapChoice): Promise<ExploredMap>;
  /** Gives the memory of what was captured back. */
  free(): void;
}

/**
 * Grounds a phrase in a film and keeps every timestep, layer and word on the device, so that maps of other choices are
 * there at once. Takes 4 bytes a timestep, layer, token set and pixel of the layer: 43 MB for Stable Diffusion 1.5, 50
 * steps and six words. Throws InputError for settings or phrases that cannot be used.
 */
export async function explore(pipeline: GroundingPipeline, film: Film, phrase: string, options: ExploreOptions = {}): Promise<Exploration> {
  const { ldm } = pipeline;
  const { vae, unet } = ldm;
  const settings = completeSettings({ ...options, layers: "all", perWord: true, merge: "mixture" }, unet.crossAttentions.length);
  const prepared = await preparePhrase(ldm, phrase, settings);
  const side = vae.config.sampleSize / vae.factor;
  const { sink, txt, free } = await capture({ pipeline, settings, prepared, side, film, options });
  const words = prepared.choice.words.length;
  return {
    phrase: prepared, settings, side, free,
    layers: sink.layers,
    imageSize: vae.config.sampleSize,
    map: (choice) => exploredMap(sink, txt, choice, { side, settings, words }),
  };
}

interface CaptureInputs {
  pipeline: GroundingPipeline;
  settings: GroundSettings;
  prepared: PreparedPhrase;
  side: number;
  film: Film;
  options: ExploreOptions;
}

/** What both passes captured: single timesteps of all token sets, and the text bias, [1, T, side * side] a layer. */
interface Captured {
  sink: MapSink;
  txt: readonly LayerMaps[];
  free(): void;
}

async function capture(inputs: CaptureInputs): Promise<Captured> {
  const { pipeline: { ldm }, settings, prepared, side, film, options } = inputs;
  const { gpu, vae } = ldm;
  const texts = encodeTexts(ldm, [prepared]);
  const noise = new SeededNoise(gpu, settings.seed);
  const owned: { free(): void }[] = [texts, noise];
  try {
    const image = prepareImage(film, vae.config.sampleSize);
    const moments = settings.mode === "gt" || settings.mode === "gt1" ? await encodeImages(ldm, [image], options) : undefined;
    if (moments) owned.push(moments.mean, moments.logvar);
    const request = { wanted: settings.batch, latentSide: side, items: mostItems(settings, 1) };
    const latentShape = [side, side, vae.config.latentChannels];
    const shared = { ldm, settings, texts, noise, latentShape, moments, imageKeys: [imageKey(image)], targets: [{ image: 0, text: 0 }] };
    return (await withBatch(gpu, request, (batch, watching = options) => runPasses(inputs, { ...shared, batch }, watching))).result;
  } finally {
    for (const thing of owned) thing.free();
  }
}

/** Runs the main pass and, where it is not itself one from noise, the pass that makes the text bias. */
async function runPasses(inputs: CaptureInputs, shared: Omit<MainPassInputs, "sink" | "weights">, { signal, onProgress }: Pick<GroundOptions, "signal" | "onProgress">): Promise<Captured> {
  const { pipeline: { ldm, store }, settings, prepared: { phrase, choice }, side, options } = inputs;
  const { steps, mode } = settings;
  const weights = setWeights(ldm, [choice], ({ words }) => [choice.weights, [0], ...words.map(({ pieces }) => pieces)]);
  const perTimestep = Array.from({ length: weights.shape[1] }, (_, set) => set);
  const sink = new MapSink(ldm.gpu, { layers: captureLayers(ldm.unet, side, "all"), weights, targets: 1, timesteps: steps, perTimestep, stopEarly: mode === "gt" });
  try {
    for await (const { done, total } of mainPass({ ...shared, sink, signal, weights: Array<number>(steps).fill(0) })) {
      onProgress?.({ stage: "main pass", done, total });
      if (options.onPartial) await tellPartial(sink, { settings, side, done, total }, options.onPartial);
    }
    if (mode === "cfg") return { sink, txt: layerMaps(sink, tokenSets.chosen), free: () => sink.free() };
    const { maps: txt } = await textBias({
      ...shared, settings, store, signal,
      layers: sink.layers,
      requests: [{ text: 0, phrase, choice }],
      onProgress: (progress) => onProgress?.({ stage: "text bias", ...progress }),
    });
    return { sink, txt, free: () => [sink, ...txt.map(({ maps }) => maps)].forEach((thing) => thing.free()) };
  } catch (error) {
    sink.free();
    throw error;
  } finally {
    weights.free();
  }
}

/** Single timesteps of one token set, [1, T, side * side] a layer. */
function layerMaps(sink: MapSink, set: number): LayerMaps[] {
  return sink.layers.map(({ name, side }) => {
    const maps = sink.perTimestep.get(set)?.get(name) as Tensor;
    return { maps: maps.reshape(1, maps.shape[0], side * side), side };
  });
}

/** P_comb of each timestep over some layers, on the host: [T, side * side], not normalised. */
async function timestepMaps(layers: readonly LayerMaps[], side: number): Promise<Float32Array> {
  const { gpu } = layers[0].maps;
  const means = gpu.scope("timesteps", () => upsampledMean(layers.map(({ maps, side: native }) => ({ maps: maps.reshape(maps.shape[1], 1, native * native), side: native })), { side }));
  const values = await means.read();
  means.free();
  return values;
}

/** Min-max normalised mean of the timesteps from `first` to before `end`, and its standard error in the same unit. */
function meanOfTimesteps(values: Float32Array, pixels: number, first: number, end: number): Pick<ExploredMap, "map" | "standardError"> {
  const count = end - first;
  const mean = new Float64Array(pixels);
  const squares = new Float64Array(pixels);
  for (let t = first; t < end; t++) for (let i = 0; i < pixels; i++) mean[i] += values[t * pixels + i] / count;
  for (let t = first; t < end; t++) for (let i = 0; i < pixels; i++) squares[i] += (values[t * pixels + i] - mean[i]) ** 2;
  const range = mean.reduce((a, b) => Math.max(a, b)) - mean.reduce((a, b) => Math.min(a, b));
  const standardError = Float32Array.from(squares, (sum) => Math.sqrt(sum / (count - 1) / count) / range);
  return { map: Float32Array.from(normalised(mean)), standardError };
}

interface PartialState extends PassProgress {
  settings: GroundSettings;
  side: number;
}

async function tellPartial(sink: MapSink, { settings, side, done, total }: PartialState, tell: (partial: PartialMap) => void): Promise<void> {
  const end = Math.floor((done / total) * settings.steps);
  const first = Math.max(0, settings.steps - settings.lastSteps);
  // Until the first of them arrives, the timesteps before them are better than nothing.
  const start = end > first ? first : 0;
  if (end === 0) return;
  const values = await timestepMaps(layerMaps(sink, tokenSets.chosen), side);
  tell({ ...meanOfTimesteps(values, side * side, start, end), done, total, timesteps: end - start });
}

async function exploredMap(sink: MapSink, txt: readonly LayerMaps[], choice: MapChoice, { side, settings, words }: { side: number; settings: GroundSettings; words: number }): Promise<ExploredMap> {
  const { gpu } = sink;
  const { steps, reading } = settings;
  const isChosen = (_: unknown, i: number) => choice.layers === "all" || choice.layers.includes(i);
  const of = (set: number) => layerMaps(sink, set).filter(isChosen);
  const values = await timestepMaps(of(tokenSets.chosen), side);
  const comb = meanOfTimesteps(values, side * side, Math.max(0, steps - choice.lastSteps), steps);
  const { merged, perWord } = gpu.scope("explored maps", () => {
    const timestepWeights = gpu.tensor(Float32Array.from(lastStepWeights(steps, choice.lastSteps)), [steps]);
    const mean = (set: number) => upsampledMean(of(set), { side, timestepWeights });
    const perWord = Array.from({ length: words }, (_, w) => minMaxNormalise(mean(tokenSets.firstWord + w)));
    if (choice.merge === "none") return { perWord };
    const means = { comb: mean(tokenSets.chosen), ...interactionMeans(of(tokenSets.start), txt.filter(isChosen), side) };
    const { ssim, s, comb: normal, mult, map } = mergeMeans(means, { side, kind: choice.merge, reading });
    if (choice.s === undefined) return { merged: { map, ssim, s }, perWord };
    const given = full(gpu, [1], choice.s);
    return { merged: { map: mergeMaps(normal, mult, given, { kind: choice.merge, rounding: roundingOf(reading) }), ssim, s: given }, perWord };
  });
  const wordMaps: Float32Array[] = [];
  for (const word of perWord) wordMaps.push(await word.read());
  const map = merged ? Float32Array.from(normalised(await merged.map.read())) : comb.map;
  const [ssim, s] = merged ? [(await merged.ssim.read())[0], (await merged.s.read())[0]] : [];
  for (const tensor of [...perWord, ...Object.values(merged ?? {})]) tensor.free();
  return { map, standardError: comb.standardError, words: wordMaps, ssim, s };
}
