import type { Film } from "../data/film.ts";
import { filmPlanes } from "../data/planes.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Reading } from "../grounding/bias_merging.ts";
import { rowsOf } from "../grounding/maps.ts";
import type { BiasStore } from "../grounding/phrase_bias.ts";
import type { FeatureModel, FeatureNetwork } from "./feature_networks.ts";
import { RunningGaussian } from "./statistics.ts";

/** An image of a set, decoded where it is needed. */
export interface SetImage {
  /** Path of the file, as `onSkip` and errors name it. */
  readonly name: string;
  /** Of the file. */
  readonly sha256: string;
  /** Throws InputError where it cannot be decoded. */
  film(): Promise<Film>;
}

/** A feature network on a device. */
export interface LoadedNetwork {
  /** The device that holds it. */
  readonly gpu: Gpu;
  /** How images are prepared for it, and what its distance is called. */
  readonly network: FeatureNetwork;
  /** Its weights and forward pass. */
  readonly model: FeatureModel;
  /** SHA-256 of its weights. */
  readonly sha256: string;
  /** How images are prepared: as the network's own reference does, or as the published code. */
  readonly reading: Reading;
}

/** Options of `imageStatistics`. */
export interface StatisticsOptions {
  /** Where feature vectors are kept between runs: an interrupted run goes on, a longer list computes what is new. */
  store?: Pick<BiasStore, "get" | "put">;
  /** Told of an image that is left out. */
  onSkip: (name: string, fact: string) => void;
  /** Images that were dealt with so far. */
  onProgress?: (done: number) => void;
  signal?: AbortSignal;
}

/** Images that go through the network at a time. */
const BATCH = 8;

/**
 * Mean and covariance of the features of images, one batch after the other: neither images nor features stay in memory.
 * Images are added in their order, so that the result does not depend on what was kept before.
 */
export async function imageStatistics(loaded: LoadedNetwork, images: AsyncIterable<SetImage>, options: StatisticsOptions): Promise<RunningGaussian> {
  const statistics = new RunningGaussian(loaded.model.features);
  let done = 0;
  for await (const batch of batches(images, BATCH)) {
    options.signal?.throwIfAborted();
    statistics.add(await featuresOf(loaded, batch, options));
    done += batch.length;
    options.onProgress?.(done);
  }
  return statistics;
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** The features of the images that can be read: [N, features]. */
async function featuresOf(loaded: LoadedNetwork, images: readonly SetImage[], { store, onSkip }: StatisticsOptions): Promise<Float32Array> {
  const keyOf = ({ sha256 }: SetImage) => `${loaded.network.measure} ${loaded.sha256} ${loaded.reading} ${sha256}`;
  const vectors = await Promise.all(images.map((image) => store?.get(keyOf(image))));
  const missing = images.flatMap((image, place) => (vectors[place] ? [] : [{ image, place }]));
  const inputs = (await Promise.all(missing.map(async (entry) => ({ ...entry, input: await inputOf(loaded, entry.image, onSkip) })))).filter(({ input }) => input !== undefined);
  const computed = await compute(loaded, inputs.map(({ input }) => input as Float32Array));
  for (const [i, { image, place }] of inputs.entries()) {
    vectors[place] = computed[i];
    await store?.put(keyOf(image), computed[i]);
  }
  const rows = new Float32Array(loaded.model.features * vectors.filter((vector) => vector).length);
  let at = 0;
  for (const vector of vectors) {
    if (!vector) continue;
    rows.set(vector, at);
    at += vector.length;
  }
  return rows;
}

/** The input of the network, or undefined for an image that cannot be read. */
async function inputOf({ network, reading }: LoadedNetwork, image: SetImage, onSkip: StatisticsOptions["onSkip"]): Promise<Float32Array | undefined> {
  try {
    return network.prepare(filmPlanes(await image.film()), reading);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    onSkip(image.name, error.message);
    return undefined;
  }
}

async function compute({ gpu, network, model }: LoadedNetwork, inputs: readonly Float32Array[]): Promise<Float32Array[]> {
  if (inputs.length === 0) return [];
  const images = new Float32Array(inputs.length * inputs[0].length);
  for (const [i, input] of inputs.entries()) images.set(input, i * input.length);
  const features = gpu.scope("features", () => model.forward(gpu.tensor(images, [inputs.length, ...network.inputShape])));
  const values = await features.read();
  features.free();
  // Copies: a row that is kept must not hold the whole batch.
  return rowsOf(values, model.features).map((row) => row.slice());
}
