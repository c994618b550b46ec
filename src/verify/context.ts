import type { Gpu } from "../gpu/gpu.ts";
import { type LoadOptions, loadModel } from "../models/load.ts";
import { type Model, freeModel } from "../models/parameters.ts";
import type { Config } from "../config.ts";
import { toChannelsLast } from "../ops/pointwise.ts";
import type { Platform } from "../platform.ts";
import type { Tensor } from "../tensor.ts";
import { type FolderSource, readJson } from "../weights/byte_source.ts";
import { findWeights, openCheckpoint } from "../weights/open_checkpoint.ts";
import type { HostTensor } from "./golden_file.ts";
import type { Part } from "./parts.ts";

/** What a golden is verified with. */
export interface VerifyContext {
  readonly gpu: Gpu;
  readonly platform: Platform;
  /** The folder of goldens. */
  readonly folder: FolderSource;
  /** Names of the files in a folder of it, none where it is absent. */
  readonly list: (directory: string) => Promise<string[]>;
  readonly signal?: AbortSignal;
}

/** Something that a folder of goldens may hold. */
export interface Golden {
  readonly name: string;
  /** The first of these paths that the folder has is what is verified. */
  readonly paths: readonly string[];
  /** Compares. Throws an error of the family where a file is broken or missing. */
  run(context: VerifyContext, path: string): Promise<Part[]>;
}

/** Runs `compute` on the device, reads the tensors that it returns and frees them. */
export async function onDevice<K extends string>(gpu: Gpu, compute: () => Record<K, Tensor>): Promise<Record<K, HostTensor>> {
  const tensors = gpu.scope("verify", compute);
  const entries = Object.entries<Tensor>(tensors);
  try {
    const read: [string, HostTensor][] = [];
    for (const [name, tensor] of entries) read.push([name, { shape: tensor.shape, data: await tensor.read() }]);
    return Object.fromEntries(read) as Record<K, HostTensor>;
  } finally {
    for (const [, tensor] of entries) tensor.free();
  }
}

/** A golden's floats on the device. */
export function upload(gpu: Gpu, { data, shape }: HostTensor): Tensor {
  return gpu.tensor(data, shape);
}

/** A golden's integers on the device. */
export function uploadIntegers(gpu: Gpu, { data, shape }: HostTensor): Tensor {
  return gpu.tensor(Uint32Array.from(data), shape);
}

/** A golden's images [B, C, H, W] on the device, channels last. */
export function uploadImages(gpu: Gpu, images: HostTensor): Tensor {
  return toChannelsLast(upload(gpu, images));
}

/** A folder beside the goldens. */
export function companion(context: VerifyContext, path: string): FolderSource {
  return context.platform.openFolder(`${context.folder.name}/${path}`);
}

/** Builds a model from the config.json of a companion folder, loads its weights, and frees them when `use` is done. */
export async function withModel<M extends Model, R>(
  context: VerifyContext,
  path: string,
  build: (file: string, config: Config) => M,
  options: (model: M) => LoadOptions,
  use: (model: M) => Promise<R>,
): Promise<R> {
  const folder = companion(context, path);
  const model = build(`${folder.name}/config.json`, (await readJson(folder, "config.json")) as Config);
  const checkpoint = await openCheckpoint(folder, await findWeights(folder, ""));
  try {
    await loadModel(context.gpu, model, checkpoint, { ...options(model), signal: context.signal });
    return await use(model);
  } finally {
    await checkpoint.close();
    freeModel(model);
  }
}
