import { cp, readdir } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { Config } from "../config.ts";
import { readFilm } from "../data/decode_node.ts";
import type { DataSample } from "../data/layouts/layout.ts";
import { Schedule } from "../diffusion/schedule.ts";
import { prepareImage } from "../grounding/prepare_image.ts";
import { BertModel, readBertConfig } from "../models/bert.ts";
import { type TextEncoderModel, createTextEncoder } from "../models/text_encoder.ts";
import { UNet2DConditionModel } from "../models/unet.ts";
import { readUNetConfig } from "../models/unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "../models/vae.ts";
import { type Tokenizer, loadTokenizer } from "../text/tokenizer.ts";
import { onDisk } from "../weights/atomic_file_node.ts";
import { parseJson, readText } from "../weights/byte_source.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import type { Checkpoint } from "../weights/checkpoint.ts";
import { findWeights, openCheckpoint } from "../weights/open_checkpoint.ts";
import type { ImageDataset } from "./vae_training.ts";

/** The configurations of a model folder in the diffusers layout, read one by one: a model that is yet to be trained lacks weights. */
export interface ModelFolder {
  readonly name: string;
  /** Text of a part's config.json. */
  configText(part: string): Promise<string>;
  unet(): Promise<UNet2DConditionModel>;
  vae(): Promise<AutoencoderKL>;
  bert(): Promise<BertModel>;
  textEncoder(): Promise<TextEncoderModel>;
  tokenizer(): Promise<Tokenizer>;
  schedule(): Promise<Schedule>;
  /** Weights of a part; close them when done. */
  weights(part: string): Promise<Checkpoint>;
}

/** Opens a model folder. Its methods throw InputError or WeightsError for what is missing or not supported. */
export function openModelFolder(path: string): ModelFolder {
  const folder = openFolder(path);
  const config = async (file: string): Promise<[string, Config]> => {
    const text = await readText(folder, file);
    return [`${path}/${file}`, parseJson(`${path}/${file}`, text) as Config];
  };
  return {
    name: path,
    configText: (part) => readText(folder, `${part}/config.json`),
    unet: async () => new UNet2DConditionModel(readUNetConfig(...(await config("unet/config.json")))),
    vae: async () => new AutoencoderKL(readVaeConfig(...(await config("vae/config.json")))),
    bert: async () => new BertModel(readBertConfig(...(await config("text_encoder/config.json")))),
    textEncoder: async () => createTextEncoder(...(await config("text_encoder/config.json"))),
    tokenizer: () => loadTokenizer(async (name) => ((await folder.has(`tokenizer/${name}`)) ? readText(folder, `tokenizer/${name}`) : undefined), { where: `${path}/tokenizer` }),
    schedule: async () => new Schedule(...(await config("scheduler/scheduler_config.json"))),
    weights: async (part) => openCheckpoint(folder, await findWeights(folder, part)),
  };
}

/**
 * Makes a whole model folder of a checkpoint: the base model's folder, with what the checkpoint has in place of its
 * own. Moving averages lie beside, such as `unet_ema`.
 */
export async function assembleModel(base: string, checkpoint: string, out: string): Promise<void> {
  const entries = await readdir(checkpoint, { withFileTypes: true });
  const parts = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const kept = (source: string) => !parts.includes(relative(base, source)) && basename(source) !== "samples";
  await onDisk(out, cp(base, out, { recursive: true, filter: kept }));
  for (const part of parts) await onDisk(out, cp(join(checkpoint, part), join(out, part), { recursive: true }));
}

/** The films of a data set, prepared as the VAE reads them. */
export function filmImages(samples: readonly DataSample[], side: number): ImageDataset {
  return { count: samples.length, side, read: async (sample) => prepareImage(await readFilm(samples[sample].imagePath), side) };
}
