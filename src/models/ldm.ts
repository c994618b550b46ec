import { Schedule } from "../diffusion/schedule.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Float } from "../ops/check.ts";
import type { Platform } from "../platform.ts";
import { type Tokenizer, loadTokenizer } from "../text/tokenizer.ts";
import { type FolderSource, readJson, readText } from "../weights/byte_source.ts";
import { findWeights, openCheckpoint } from "../weights/open_checkpoint.ts";
import type { Config } from "../config.ts";
import { loadModel } from "./load.ts";
import { type Model, freeModel } from "./parameters.ts";
import { type TextEncoderModel, createTextEncoder } from "./text_encoder.ts";
import { UNet2DConditionModel } from "./unet.ts";
import { readUNetConfig } from "./unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "./vae.ts";

/** Options of `loadLatentDiffusion`. */
export interface LdmOptions {
  /** Storage of the U-Net's weights and activations. Default f32 (weights that are f16 in the file stay f16: exact). */
  dtype?: Float;
  /** Take the U-Net from `unet_ema/`. */
  ema?: boolean;
  /** Bytes loaded so far of all bytes of the part that is loading. */
  onProgress?: (part: string, bytes: number, total: number) => void;
  signal?: AbortSignal;
}

/** A latent diffusion model: text encoder, U-Net, VAE, tokenizer and schedule of one folder in the diffusers layout. */
export interface LatentDiffusion {
  readonly gpu: Gpu;
  readonly name: string;
  readonly unet: UNet2DConditionModel;
  readonly vae: AutoencoderKL;
  readonly textEncoder: TextEncoderModel;
  readonly tokenizer: Tokenizer;
  readonly schedule: Schedule;
  /** Type of the U-Net's activations; the text encoder and the VAE run in f32 (the VAE's activations overflow f16). */
  readonly dtype: Float;
  /** SHA-256 over the configs and all weights, in the order in which the models declare them. */
  readonly sha256: string;
  free(): void;
}

/** Loads a model folder onto the device. Throws InputError or WeightsError naming the file and what is wrong with it. */
export async function loadLatentDiffusion(gpu: Gpu, platform: Platform, folder: FolderSource, options: LdmOptions = {}): Promise<LatentDiffusion> {
  const dtype = options.dtype ?? "f32";
  if (dtype === "f16" && !gpu.has("shader-f16")) throw new InputError("--dtype", "f16 needs the device feature shader-f16, which this device does not have; use f32");
  const hasher = platform.createHasher();
  const config = async (path: string): Promise<[string, Config]> => {
    const text = await readText(folder, path);
    hasher.update(new TextEncoder().encode(text));
    return [`${folder.name}/${path}`, (await readJson(folder, path)) as Config];
  };
  const unetFolder = options.ema ? "unet_ema" : "unet";
  const unet = new UNet2DConditionModel(readUNetConfig(...(await config(`${unetFolder}/config.json`))));
  const vae = new AutoencoderKL(readVaeConfig(...(await config("vae/config.json"))));
  const textEncoder = createTextEncoder(...(await config("text_encoder/config.json")));
  const schedule = new Schedule(...(await config("scheduler/scheduler_config.json")));
  const tokenizer = await loadTokenizer(async (name) => ((await folder.has(`tokenizer/${name}`)) ? readText(folder, `tokenizer/${name}`) : undefined), { where: `${folder.name}/tokenizer` });
  checkFit(folder.name, unet, vae, textEncoder, tokenizer);

  const models: Model[] = [];
  const load = async (part: string, model: Model, dtype: Float | "auto", prefixes?: readonly string[]) => {
    const checkpoint = await openCheckpoint(folder, await findWeights(folder, part));
    try {
      await loadModel(gpu, model, checkpoint, {
        prefixes,
        dtype,
        signal: options.signal,
        onBytes: (bytes) => hasher.update(bytes),
        onProgress: (bytes, total) => options.onProgress?.(part, bytes, total),
      });
      models.push(model);
    } finally {
      await checkpoint.close();
    }
  };
  try {
    await load("text_encoder", textEncoder.model, "auto", textEncoder.prefixes);
    await load("vae", vae, "auto");
    await load(unetFolder, unet, dtype === "f16" ? "f16" : "auto");
  } catch (error) {
    for (const model of models) freeModel(model);
    throw error;
  }
  return {
    gpu, name: folder.name, unet, vae, textEncoder, tokenizer, schedule, dtype,
    sha256: hasher.hex(),
    free: () => models.forEach(freeModel),
  };
}

/** The parts of a folder must fit one another. */
function checkFit(name: string, unet: UNet2DConditionModel, vae: AutoencoderKL, text: TextEncoderModel, tokenizer: Tokenizer): void {
  const contextWidth = unet.config.levels[0].contextWidth;
  if (contextWidth !== text.width) throw new InputError(name, `the U-Net reads text of ${contextWidth} channels, the text encoder gives ${text.width}`);
  if (unet.config.inChannels !== vae.config.latentChannels) throw new InputError(name, `the U-Net reads ${unet.config.inChannels} channels, the VAE's latent has ${vae.config.latentChannels}`);
  if (tokenizer.length > text.positions) throw new InputError(name, `the tokenizer gives ${tokenizer.length} positions, the text encoder has ${text.positions}`);
}
