import type { Config } from "../config.ts";
import { readFilm } from "../data/decode_node.ts";
import type { DataSample } from "../data/layouts/layout.ts";
import { Schedule } from "../diffusion/schedule.ts";
import { InputError } from "../errors.ts";
import { prepareImage } from "../grounding/prepare_image.ts";
import type { TextEncoderModel } from "../models/text_encoder.ts";
import { type OpenedTextEncoder, findTextEncoder, openTextEncoder, ownTextEncoder } from "../models/text_encoder_folder.ts";
import { UNet2DConditionModel } from "../models/unet.ts";
import { readUNetConfig } from "../models/unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "../models/vae.ts";
import { parseJson, readText } from "../weights/byte_source.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import type { Checkpoint, TensorSource } from "../weights/checkpoint.ts";
import { findWeights, openCheckpoint } from "../weights/open_checkpoint.ts";
import type { Skipped } from "./skipped.ts";
import type { ImageDataset } from "./vae_training.ts";

/** The configurations of a model folder in the diffusers layout, read one by one: a model that is yet to be trained lacks weights. */
export interface ModelFolder {
  /** Its path, as errors name it. */
  readonly name: string;
  /** Text of a part's config.json. */
  configText(part: "unet" | "vae"): Promise<string>;
  /** The U-Net of its config, without weights. */
  unet(): Promise<UNet2DConditionModel>;
  /** The autoencoder of its config, without weights. */
  vae(): Promise<AutoencoderKL>;
  /** The text encoder of its config, without weights, and its tokenizer. */
  textEncoder(): Promise<OpenedTextEncoder>;
  /** The noise schedule of `scheduler/`. */
  schedule(): Promise<Schedule>;
  /** Weights of a part; close them when done. */
  weights(part: "unet" | "vae"): Promise<Checkpoint>;
  /** Weights of its text encoder, by that model's keys; close them when done. */
  textEncoderWeights(encoder: TextEncoderModel): Promise<TensorSource & Pick<Checkpoint, "close">>;
}

/**
 * Opens a model folder, with the text encoder of another folder where one is named. Its methods throw InputError
 * or WeightsError for what is missing or not supported.
 * @param options.textEncoder folder of the text encoder and tokenizer to take in place of the model's own
 */
export function openModelFolder(path: string, options: { textEncoder?: string } = {}): ModelFolder {
  const folder = openFolder(path);
  const place = () => (options.textEncoder === undefined ? ownTextEncoder(folder) : findTextEncoder(openFolder(options.textEncoder)));
  const config = async (file: string): Promise<[string, Config]> => {
    const text = await readText(folder, file);
    return [`${path}/${file}`, parseJson(`${path}/${file}`, text) as Config];
  };
  return {
    name: path,
    configText: (part) => readText(folder, `${part}/config.json`),
    unet: async () => new UNet2DConditionModel(readUNetConfig(...(await config("unet/config.json")))),
    vae: async () => new AutoencoderKL(readVaeConfig(...(await config("vae/config.json")))),
    textEncoder: async () => openTextEncoder(await place()),
    schedule: async () => new Schedule(...(await config("scheduler/scheduler_config.json"))),
    weights: async (part) => openCheckpoint(folder, await findWeights(folder, part)),
    async textEncoderWeights(encoder) {
      const { folder: source, directory } = await place();
      const checkpoint = await openCheckpoint(source, await findWeights(source, directory));
      const close = () => checkpoint.close();
      try {
        return { ...encoder.tensorsOf(checkpoint), close };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}

/**
 * The films of a data set, prepared as the VAE reads them. The next one that can be read stands in for one that cannot,
 * which `skipped` takes.
 */
export function filmImages(samples: readonly DataSample[], side: number, skipped: Skipped): ImageDataset {
  const unreadable = new Set<DataSample>();
  const read = async (sample: DataSample) => {
    try {
      return prepareImage(await readFilm(sample.imagePath), side);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (!unreadable.has(sample)) skipped.leaveOut(sample.line, error.message);
      unreadable.add(sample);
      return undefined;
    }
  };
  return {
    count: samples.length,
    side,
    async read(index) {
      for (let i = 0; i < samples.length; i++) {
        const sample = samples[(index + i) % samples.length];
        const image = unreadable.has(sample) ? undefined : await read(sample);
        if (image) return image;
      }
      throw new InputError("data", "holds no film that can be read; attnscope data check lists what is wrong");
    },
  };
}
