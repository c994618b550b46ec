import { basename, dirname, join } from "node:path";
import { readFilm } from "../data/decode_node.ts";
import { type Plane, filmPlanes } from "../data/planes.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Reading } from "../grounding/bias_merging.ts";
import { loadModel } from "../models/load.ts";
import { freeModel } from "../models/parameters.ts";
import { nodePlatform } from "../platform_node.ts";
import { type Diversity, diversityOf, drawPairs, similarity } from "../quality/diversity.ts";
import { type FeatureKind, featureNetworks } from "../quality/feature_networks.ts";
import { frechetDistance } from "../quality/frechet.ts";
import { groupByFolder, listImages, readImages } from "../quality/image_set_node.ts";
import { type LoadedNetwork, imageStatistics } from "../quality/image_statistics.ts";
import type { RunningGaussian } from "../quality/statistics.ts";
import { DiskVectorStore } from "../vector_store_node.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";
import { cacheFolder } from "../cache_folder_node.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import { log } from "./command.ts";
import { version } from "./package.ts";
import { createProgress } from "./progress.ts";

/** What `quality` takes. */
export interface QualityOptions {
  real: string;
  fake: string;
  inception?: string;
  xrv?: string;
  reading: Reading;
  pairs: number;
  seed: number;
  skipShare: number;
  cache: boolean;
  json?: boolean;
}

/** The images of one folder. */
export interface ImageFolder {
  readonly path: string;
  readonly images: readonly string[];
  /** Those that cannot be read. */
  readonly leftOut: Set<string>;
}

/** Finds the images of a folder. @throws InputError where there are none */
export async function openImages(path: string): Promise<ImageFolder> {
  return { path, images: await listImages(path), leftOut: new Set() };
}

/** Leaves an image out, unless too many are. @throws InputError */
function leaveOut({ path, images, leftOut }: ImageFolder, image: string, fact: string, { skipShare }: QualityOptions): void {
  if (leftOut.has(image)) return;
  leftOut.add(image);
  log(`${fact}; left out`);
  const most = Math.floor(skipShare * images.length);
  if (leftOut.size > most) throw new InputError(path, `more than the ${most} of ${images.length} images that --skip-share allows cannot be read; repair them, or allow more`);
}

/** Rank of covariances from which on their distance takes a while. */
const LARGE_RANK = 1000;

/** The Fréchet distances by their names. */
export async function measureDistances(kinds: readonly FeatureKind[], folders: readonly [real: ImageFolder, fake: ImageFolder], options: QualityOptions, signal: AbortSignal): Promise<Record<string, number>> {
  const gpu = await openGpu();
  try {
    const distances: Record<string, number> = {};
    for (const kind of kinds) {
      const loaded = await loadNetwork(gpu, kind, options, signal);
      const [real, fake] = [await measure(loaded, folders[0], options, signal), await measure(loaded, folders[1], options, signal)];
      freeModel(loaded.model);
      const few = Math.min(real.count, fake.count);
      if (few <= loaded.model.features) log(`note: ${few} images for ${loaded.model.features} features: ${loaded.network.measure} of so few is too large, compare it only with that of as many`);
      if (few > LARGE_RANK) log(`${loaded.network.measure}: the eigenvalues for ${loaded.model.features} features take a minute or two`);
      distances[loaded.network.measure] = frechetDistance(real.fit(), fake.fit());
    }
    return distances;
  } finally {
    gpu.close();
  }
}

async function loadNetwork(gpu: Gpu, kind: FeatureKind, options: QualityOptions, signal: AbortSignal): Promise<LoadedNetwork> {
  const file = options[kind] as string;
  const network = featureNetworks[kind];
  const model = network.build();
  const hasher = nodePlatform.createHasher();
  const checkpoint = await openCheckpoint(openFolder(dirname(file)), basename(file));
  try {
    await loadModel(gpu, model, checkpoint, { prefixes: ["", "module.", "model."], signal, onBytes: (bytes) => hasher.update(bytes) });
  } finally {
    await checkpoint.close();
  }
  return { gpu, network, model, sha256: hasher.hex(), reading: options.reading };
}

async function measure(loaded: LoadedNetwork, folder: ImageFolder, options: QualityOptions, signal: AbortSignal): Promise<RunningGaussian> {
  const progress = createProgress();
  const skip = (image: string, fact: string) => {
    progress.stop();
    leaveOut(folder, image, fact, options);
  };
  const store = options.cache ? openFeatureStore() : undefined;
  try {
    const statistics = await imageStatistics(loaded, readImages(folder.images, skip), {
      store,
      onSkip: skip,
      onProgress: (done) => progress.update(`${loaded.network.measure} features of ${folder.path}`, done, folder.images.length),
      signal,
    });
    if (statistics.count < 2) throw new InputError(folder.path, `${statistics.count} of its images can be read; a distribution takes many`);
    return statistics;
  } finally {
    progress.stop();
  }
}

/** Feature vectors by network and image, kept like text biases. */
function openFeatureStore(): DiskVectorStore {
  return new DiskVectorStore(join(cacheFolder(), "image-features"), { version, onUnwritable: (reason) => log(`note: feature vectors are not kept: ${reason}`) });
}

/** MS-SSIM between images of one folder; absent where no two can be compared. */
export async function measureDiversity(folder: ImageFolder, options: QualityOptions, signal: AbortSignal): Promise<Diversity | undefined> {
  const pairs = drawPairs(groupByFolder(folder.images), options.pairs, options.seed);
  const progress = createProgress();
  const similarities: number[] = [];
  try {
    for (const [done, pair] of pairs.entries()) {
      signal.throwIfAborted();
      progress.update(`MS-SSIM of ${folder.path}`, done, pairs.length);
      const [a, b] = await Promise.all(pair.map((path) => readPlanes(path, folder, options)));
      if (a && b) similarities.push(similarity(a, b));
    }
  } finally {
    progress.stop();
  }
  return similarities.length === 0 ? undefined : diversityOf(similarities);
}

/** The channels of an image, or undefined where it cannot be read. */
async function readPlanes(path: string, folder: ImageFolder, options: QualityOptions): Promise<Plane[] | undefined> {
  try {
    return filmPlanes(await readFilm(path));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    leaveOut(folder, path, error.message, options);
    return undefined;
  }
}
