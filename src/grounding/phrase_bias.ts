import type { LatentDiffusion } from "../models/ldm.ts";
import { embedding } from "../ops/embed.ts";
import type { LayerMaps } from "../ops/grounding.ts";
import type { Tensor } from "../tensor.ts";
import type { TokenChoice } from "../text/token_choice.ts";
import { type CaptureLayer, MapSink } from "./map_sink.ts";
import type { NoiseSource } from "./noise.ts";
import type { GroundSettings } from "./options.ts";
import { type PassProgress, sampledPass } from "./passes.ts";
import { type EncodedTexts, setWeights } from "./phrases.ts";

/**
 * Where text biases are kept between runs. A bias depends on model, phrase, seed and sampling settings, not on the image.
 * Values are the float32 maps of all layers behind one another.
 */
export interface BiasStore {
  /** The maps that were put under a key; undefined where there are none, or no longer. */
  get(key: string): Promise<Float32Array | undefined>;
  /** Keeps maps under a key; a store may drop them at any time. */
  put(key: string, maps: Float32Array): Promise<void>;
}

/** A bounded store in memory: the least recently used maps go first. */
export class MemoryBiasStore implements BiasStore {
  readonly #maps = new Map<string, Float32Array>();
  readonly #limit: number;
  #bytes = 0;

  constructor(limitBytes = 256 * 2 ** 20) {
    this.#limit = limitBytes;
  }

  /** Makes the maps the last to be dropped. */
  async get(key: string): Promise<Float32Array | undefined> {
    const maps = this.#maps.get(key);
    if (maps) {
      this.#maps.delete(key);
      this.#maps.set(key, maps);
    }
    return maps;
  }

  /** Drops the least recently used maps until the others fit; maps above the limit are not kept. */
  async put(key: string, maps: Float32Array): Promise<void> {
    this.#bytes += maps.byteLength - (this.#maps.get(key)?.byteLength ?? 0);
    this.#maps.delete(key);
    this.#maps.set(key, maps);
    for (const [oldest, { byteLength }] of this.#maps) {
      if (this.#bytes <= this.#limit) break;
      this.#maps.delete(oldest);
      this.#bytes -= byteLength;
    }
  }
}

/** A text bias to make: of which text, and which of its tokens. */
export interface BiasRequest {
  /** Index of the encoded text. */
  text: number;
  phrase: string;
  choice: TokenChoice;
}

/** Inputs of `textBias`. */
export interface TextBiasInputs {
  ldm: LatentDiffusion;
  requests: readonly BiasRequest[];
  texts: EncodedTexts;
  layers: readonly CaptureLayer[];
  settings: Pick<GroundSettings, "steps" | "seed" | "guidance">;
  noise: NoiseSource;
  /** Shape of one latent, [h, w, C]. */
  latentShape: readonly number[];
  batch: number;
  store?: BiasStore;
  signal?: AbortSignal;
  onProgress?: (progress: PassProgress) => void;
}

/**
 * P_txt by layer and timestep for every request, [requests, T, side * side] a layer: the chosen tokens of a CFG pass
 * from Gaussian noise (section 2.3). What the store holds is not computed again; requests of one text share its pass.
 * `computed`: texts that had to be sampled.
 */
export async function textBias(inputs: TextBiasInputs): Promise<{ maps: LayerMaps[]; computed: number }> {
  const { ldm, requests, layers, settings, store } = inputs;
  const floats = floatsOf(layers, settings.steps);
  const keys = requests.map((request) => biasKey(ldm, request, layers, settings));
  const found = await Promise.all(keys.map((key) => store?.get(key)));
  const missing = keys.map((_, i) => i).filter((i) => found[i]?.length !== floats);
  const sampled = [...new Set(missing.map((i) => requests[i].text))].map((text) => ({ text, wanted: missing.filter((i) => requests[i].text === text) }));
  if (sampled.length > 0) {
    for (const [i, maps] of await computeBiases(inputs, sampled)) {
      found[i] = maps;
      await store?.put(keys[i], maps);
    }
  }
  let offset = 0;
  const maps = layers.map(({ side }) => {
    const size = settings.steps * side * side;
    const all = new Float32Array(requests.length * size);
    for (const [i, values] of found.entries()) all.set((values as Float32Array).subarray(offset, offset + size), i * size);
    offset += size;
    return { maps: ldm.gpu.tensor(all, [requests.length, settings.steps, side * side]), side };
  });
  return { maps, computed: sampled.length };
}

/** A text to sample, and the requests (indices) that want some of its tokens. */
interface SampledText {
  text: number;
  wanted: readonly number[];
}

/** Samples texts and gives the maps of every request that wants some, all layers behind one another. */
async function computeBiases(inputs: TextBiasInputs, sampled: readonly SampledText[]): Promise<Map<number, Float32Array>> {
  const { ldm, requests, texts, layers, settings, noise, latentShape } = inputs;
  const wantedOf = new Map(sampled.map(({ text, wanted }) => [text, wanted]));
  const weights = setWeights(ldm, [...Array(texts.unconditional).keys()], (text) => wantedOf.get(text)?.map((i) => requests[i].choice.weights) ?? []);
  const perTimestep = Array.from({ length: weights.shape[1] }, (_, set) => set);
  const sink = new MapSink(ldm.gpu, { layers, weights, targets: sampled.length, timesteps: settings.steps, perTimestep, stopEarly: false });
  // All texts start from the same noise: the bias of one does not depend on what else is asked.
  const start = noise.start([sampled.length, ...latentShape], sampled.map(() => 0));
  try {
    const pass = sampledPass({
      ldm, sink, start,
      texts: sampled.map(({ text }) => text),
      keyValues: texts.keyValues,
      timesteps: ldm.schedule.timesteps(settings.steps),
      weights: Array<number>(settings.steps).fill(0),
      guidance: { scale: settings.guidance, unconditional: texts.unconditional },
      steps: settings.steps,
      batch: inputs.batch,
      signal: inputs.signal,
    });
    for await (const progress of pass) inputs.onProgress?.(progress);
    return await readMaps(sink, sampled, settings.steps);
  } finally {
    sink.free();
    start.free();
    weights.free();
  }
}

/** Every request's maps: those of its text's target and of its place among the text's token sets. */
async function readMaps(sink: MapSink, sampled: readonly SampledText[], steps: number): Promise<Map<number, Float32Array>> {
  const floats = floatsOf(sink.layers, steps);
  const all = new Map(sampled.flatMap(({ wanted }) => wanted.map((i) => [i, new Float32Array(floats)])));
  for (const [set, maps] of sink.perTimestep) {
    let offset = 0;
    for (const { name, side } of sink.layers) {
      const values = await (maps.get(name) as Tensor).read();
      const size = steps * side * side;
      for (const [target, { wanted }] of sampled.entries()) {
        if (set < wanted.length) all.get(wanted[set])?.set(values.subarray(target * size, (target + 1) * size), offset);
      }
      offset += size;
    }
  }
  return all;
}

/** Length of one text bias. */
function floatsOf(layers: readonly CaptureLayer[], steps: number): number {
  return layers.reduce((sum, { side }) => sum + steps * side * side, 0);
}

/** What a text bias depends on, as one line. */
function biasKey(ldm: LatentDiffusion, { phrase, choice }: BiasRequest, layers: readonly CaptureLayer[], settings: TextBiasInputs["settings"]): string {
  const tokens = [...choice.weights].flatMap((weight, position) => (weight > 0 ? [`${position}:${weight}`] : []));
  const { steps, seed, guidance } = settings;
  const { device, description } = ldm.gpu.adapter;
  return JSON.stringify({ version: 1, device, driver: description, model: ldm.sha256, dtype: ldm.dtype, phrase, tokens, layers: layers.map(({ name }) => name), steps, seed, guidance });
}

/** The rows of [requests, ...] maps that targets use: [targets, ...]. */
export function gatherBiases(layers: readonly LayerMaps[], requestOf: readonly number[]): LayerMaps[] {
  return layers.map(({ maps, side }) => {
    const [requests, ...rest] = maps.shape;
    const gathered = maps.gpu.scope("gather", () => {
      const ids = maps.gpu.tensor(Uint32Array.from(requestOf), [requestOf.length]);
      return embedding(ids, maps.reshape(requests, -1), { dtype: "f32" }).reshape(requestOf.length, ...rest);
    });
    return { maps: gathered, side };
  });
}
