import type { LatentDiffusion } from "../models/ldm.ts";
import { embedding } from "../ops/embed.ts";
import type { LayerMaps } from "../ops/grounding.ts";
import type { Tensor } from "../tensor.ts";
import { type CaptureLayer, MapSink } from "./map_sink.ts";
import type { NoiseSource } from "./noise.ts";
import type { GroundSettings } from "./options.ts";
import { type EncodedTexts, type PreparedPhrase, setWeights } from "./phrases.ts";
import { type PassProgress, sampledPass } from "./passes.ts";

/**
 * Where text biases are kept between runs. A bias depends on model, phrase, seed and sampling settings, not on the image.
 * Values are the float32 maps of all layers behind one another.
 */
export interface BiasStore {
  get(key: string): Promise<Float32Array | undefined>;
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

  async get(key: string): Promise<Float32Array | undefined> {
    const maps = this.#maps.get(key);
    if (maps) {
      this.#maps.delete(key);
      this.#maps.set(key, maps);
    }
    return maps;
  }

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

/** Inputs of `textBias`. */
export interface TextBiasInputs {
  ldm: LatentDiffusion;
  phrases: readonly PreparedPhrase[];
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
 * P_txt by layer and timestep for every phrase, [phrases, T, side * side] a layer: the chosen tokens of a CFG pass
 * from Gaussian noise (section 2.3). Phrases that the store holds are not computed again.
 */
export async function textBias(inputs: TextBiasInputs): Promise<{ maps: LayerMaps[]; computed: number }> {
  const { ldm, phrases, layers, settings, store } = inputs;
  const floats = layers.reduce((sum, { side }) => sum + settings.steps * side * side, 0);
  const keys = phrases.map((phrase) => biasKey(ldm, phrase, layers, settings));
  const found = await Promise.all(keys.map((key) => store?.get(key)));
  const missing = keys.map((_, i) => i).filter((i) => found[i]?.length !== floats);
  if (missing.length > 0) {
    const computed = await computeBias(inputs, missing);
    for (const [row, i] of missing.entries()) {
      found[i] = computed.subarray(row * floats, (row + 1) * floats);
      await store?.put(keys[i], found[i].slice());
    }
  }
  let offset = 0;
  const maps = layers.map(({ side }) => {
    const size = settings.steps * side * side;
    const all = new Float32Array(phrases.length * size);
    for (const [i, values] of found.entries()) all.set((values as Float32Array).subarray(offset, offset + size), i * size);
    offset += size;
    return { maps: ldm.gpu.tensor(all, [phrases.length, settings.steps, side * side]), side };
  });
  return { maps, computed: missing.length };
}

/** Samples the phrases at `which` and gives their maps, one phrase behind the other, all layers each. */
async function computeBias(inputs: TextBiasInputs, which: readonly number[]): Promise<Float32Array> {
  const { ldm, phrases, texts, layers, settings, noise, latentShape } = inputs;
  const weights = setWeights(ldm, phrases, ({ choice }) => [choice.weights]);
  const sink = new MapSink(ldm.gpu, { layers, weights, targets: which.length, timesteps: settings.steps, perTimestep: [0], stopEarly: false });
  // All phrases start from the same noise: the bias of a phrase does not depend on what else is asked.
  const start = noise.start([which.length, ...latentShape], which.map(() => 0));
  try {
    const pass = sampledPass({
      ldm, sink, start,
      texts: which,
      keyValues: texts.keyValues,
      timesteps: ldm.schedule.timesteps(settings.steps),
      weights: Array<number>(settings.steps).fill(0),
      guidance: { scale: settings.guidance, unconditional: texts.unconditional },
      steps: settings.steps,
      batch: inputs.batch,
      signal: inputs.signal,
    });
    for await (const progress of pass) inputs.onProgress?.(progress);
    return await readMaps(sink, which.length, settings.steps);
  } finally {
    sink.free();
    start.free();
    weights.free();
  }
}

async function readMaps(sink: MapSink, phrases: number, steps: number): Promise<Float32Array> {
  const perLayer: Float32Array[] = [];
  for (const { name } of sink.layers) perLayer.push(await (sink.perTimestep.get(0)?.get(name) as Tensor).read());
  const sizes = sink.layers.map(({ side }) => steps * side * side);
  const floats = sizes.reduce((a, b) => a + b, 0);
  const all = new Float32Array(phrases * floats);
  for (let phrase = 0; phrase < phrases; phrase++) {
    let offset = phrase * floats;
    for (const [l, values] of perLayer.entries()) {
      all.set(values.subarray(phrase * sizes[l], (phrase + 1) * sizes[l]), offset);
      offset += sizes[l];
    }
  }
  return all;
}

/** What a text bias depends on, as one line. */
function biasKey(ldm: LatentDiffusion, { phrase, choice }: PreparedPhrase, layers: readonly CaptureLayer[], settings: TextBiasInputs["settings"]): string {
  const tokens = [...choice.weights].flatMap((weight, position) => (weight > 0 ? [`${position}:${weight}`] : []));
  const { steps, seed, guidance } = settings;
  const { device, description } = ldm.gpu.adapter;
  return JSON.stringify({ version: 1, device, driver: description, model: ldm.sha256, dtype: ldm.dtype, phrase, tokens, layers: layers.map(({ name }) => name), steps, seed, guidance });
}

/** The rows of [phrases, ...] maps that targets use: [targets, ...]. */
export function gatherPhrases(layers: readonly LayerMaps[], textOf: readonly number[]): LayerMaps[] {
  return layers.map(({ maps, side }) => {
    const [phrases, ...rest] = maps.shape;
    const gathered = maps.gpu.scope("gather", () => {
      const ids = maps.gpu.tensor(Uint32Array.from(textOf), [textOf.length]);
      return embedding(ids, maps.reshape(phrases, -1), { dtype: "f32" }).reshape(textOf.length, ...rest);
    });
    return { maps: gathered, side };
  });
}
