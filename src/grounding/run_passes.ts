import type { LatentDiffusion } from "../models/ldm.ts";
import type { LayerMaps } from "../ops/grounding.ts";
import { partialMaps } from "./final_maps.ts";
import { type Moments, lastStepWeights, mainPass } from "./main_pass.ts";
import { type CaptureLayer, MapSink, captureLayers, tokenSets } from "./map_sink.ts";
import type { NoiseSource } from "./noise.ts";
import type { GroundSettings } from "./options.ts";
import type { Target } from "./passes.ts";
import { type BiasStore, gatherBiases, textBias } from "./phrase_bias.ts";
import { type EncodedTexts, type PreparedPhrase, setWeights } from "./phrases.ts";
import type { GroundOptions } from "./pipeline.ts";
import type { Stopwatch } from "./stopwatch.ts";
import type { Tensor } from "../tensor.ts";

/** Inputs of `runPasses`. */
export interface RunInputs {
  ldm: LatentDiffusion;
  settings: GroundSettings;
  options: Pick<GroundOptions, "signal" | "onProgress" | "onPartial">;
  phrases: readonly PreparedPhrase[];
  targets: readonly Target[];
  texts: EncodedTexts;
  noise: NoiseSource;
  /** Absent in the modes that do not look at the image. */
  moments?: Moments;
  imageKeys: readonly number[];
  /** Side of the latent. */
  side: number;
  batch: number;
  watch: Stopwatch;
  store: BiasStore;
}

/** The captured maps of both passes. */
export interface CapturedMaps {
  sink: MapSink;
  /** P_txt of every target, [targets, T, side * side] a layer; empty without merging. */
  bias: LayerMaps[];
  /** U-Net evaluations of single items. */
  evaluations: number;
  free(): void;
}

/** Runs the main pass and, for the merge, the pass that makes the text bias. */
export async function runPasses(inputs: RunInputs): Promise<CapturedMaps> {
  const { ldm, settings, phrases, targets, side } = inputs;
  const layers = captureLayers(ldm.unet, side, settings.layers);
  const weights = setWeights(ldm, phrases, ({ choice }) => [choice.weights, [0], ...(settings.perWord ? choice.words.map(({ pieces }) => pieces) : [])]);
  const sink = new MapSink(ldm.gpu, {
    layers,
    weights,
    targets: targets.length,
    timesteps: settings.steps,
    perTimestep: mergedSets(settings),
    stopEarly: settings.mode === "gt",
  });
  let bias: { maps: LayerMaps[]; computed: number } = { maps: [], computed: 0 };
  const free = () => {
    sink.free();
    weights.free();
    for (const { maps } of bias.maps) maps.free();
  };
  try {
    const evaluations = await inputs.watch.time("main pass", () => runMainPass(inputs, sink));
    if (settings.merge !== "none") bias = await inputs.watch.time("text bias", () => runBiasPass(inputs, sink, layers));
    return {
      sink,
      bias: bias.maps,
      evaluations: evaluations + 2 * settings.steps * bias.computed,
      free,
    };
  } catch (error) {
    free();
    throw error;
  }
}

/** In CFG mode the main pass is itself a pass from noise: its chosen tokens are the text bias. */
const isBiasPass = (settings: GroundSettings) => settings.mode === "cfg";

/** Token sets whose single timesteps the bias product reads. */
function mergedSets(settings: GroundSettings): number[] {
  if (settings.merge === "none") return [];
  return isBiasPass(settings) ? [tokenSets.chosen, tokenSets.start] : [tokenSets.start];
}

/** Runs the main pass; gives the number of U-Net evaluations. */
async function runMainPass(inputs: RunInputs, sink: MapSink): Promise<number> {
  const { settings, options, side } = inputs;
  const pass = mainPass({
    ...inputs,
    sink,
    latentShape: latentShape(inputs),
    weights: lastStepWeights(settings.steps, settings.lastSteps),
    signal: options.signal,
  });
  let evaluations = 0;
  for await (const { done, total } of pass) {
    evaluations = done;
    options.onProgress?.({ stage: "main pass", done, total });
    if (options.onPartial) options.onPartial(await partialMaps(sink, side), { done, total });
  }
  return evaluations;
}

/** The text bias of every target, [targets, T, side * side] a layer. `computed`: phrases that had to be sampled. */
async function runBiasPass(inputs: RunInputs, sink: MapSink, layers: readonly CaptureLayer[]): Promise<{ maps: LayerMaps[]; computed: number }> {
  const { settings, options, phrases, targets } = inputs;
  if (isBiasPass(settings)) {
    const own = sink.perTimestep.get(tokenSets.chosen) as ReadonlyMap<string, Tensor>;
    return { maps: layers.map(({ name, side }) => ({ maps: (own.get(name) as Tensor).reshape(targets.length, settings.steps, side * side), side })), computed: 0 };
  }
  const bias = await textBias({
    ...inputs,
    layers,
    requests: phrases.map(({ phrase, choice }, text) => ({ text, phrase, choice })),
    latentShape: latentShape(inputs),
    signal: options.signal,
    onProgress: (progress) => options.onProgress?.({ stage: "text bias", ...progress }),
  });
  const maps = gatherBiases(bias.maps, targets.map(({ text }) => text));
  for (const { maps: ofPhrases } of bias.maps) ofPhrases.free();
  return { maps, computed: bias.computed };
}

const latentShape = ({ ldm, side }: RunInputs) => [side, side, ldm.vae.config.latentChannels];
