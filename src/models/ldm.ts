import { Schedule } from "../diffusion/schedule.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Float } from "../ops/check.ts";
import type { Platform } from "../platform.ts";
import { type Tokenizer, loadTokenizer } from "../text/tokenizer.ts";
import { type FolderSource, parseJson, readText } from "../weights/byte_source.ts";
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

/** What turns films into latents and phrases into embeddings: text encoder, tokenizer and VAE of one folder. */
export interface LatentEncoders {
  readonly gpu: Gpu;
  readonly name: string;
  readonly vae: AutoencoderKL;
  readonly textEncoder: TextEncoderModel;
  readonly tokenizer: Tokenizer;
  /** SHA-256 over the configs and all weights, in the order in which the models declare them. */
  readonly sha256: string;
  free(): void;
}

/** A latent diffusion model: text encoder, U-Net, VAE, tokenizer and schedule of one folder in the diffusers layout. */
export interface LatentDiffusion extends LatentEncoders {
  readonly unet: UNet2DConditionModel;
  readonly schedule: Schedule;
  /** Type of the U-Net's activations; the text encoder and the VAE run in f32 (the VAE's activations overflow f16). */
  readonly dtype: Float;
}

/** Loads a model folder onto the device. Throws InputError or WeightsError naming the file and what is wrong with it. */
export async function loadLatentDiffusion(gpu: Gpu, platform: Platform, folder: FolderSource, options: LdmOptions = {}): Promise<LatentDiffusion> {
  const dtype = options.dtype ?? "f32";
  if (dtype === "f16" && !gpu.has("shader-f16")) throw new InputError("--dtype", "f16 needs the device feature shader-f16, which this device does not have; use f32");
  const parts = createPartLoader(gpu, platform, folder, options);
  const unetFolder = options.ema ? "unet_ema" : "unet";
  const unet = new UNet2DConditionModel(readUNetConfig(...(await parts.config(`${unetFolder}/config.json`))));
  const encoders = await readEncoders(parts, folder);
  const schedule = new Schedule(...(await parts.config("scheduler/scheduler_config.json")));
  checkUNetFits(folder.name, unet, encoders);
  await parts.load([...encoderParts(encoders), { name: unetFolder, model: unet, dtype: dtype === "f16" ? "f16" : "auto" }]);
  return { gpu, name: folder.name, ...encoders, unet, schedule, dtype, sha256: parts.sha256(), free: parts.free };
}

/**
 * Loads the text encoder and the VAE of a model folder, which needs no U-Net yet.
 * Throws InputError or WeightsError naming the file and what is wrong with it.
 */
export async function loadLatentEncoders(gpu: Gpu, platform: Platform, folder: FolderSource, options: Pick<LdmOptions, "onProgress" | "signal"> = {}): Promise<LatentEncoders> {
  const parts = createPartLoader(gpu, platform, folder, options);
  const encoders = await readEncoders(parts, folder);
  await parts.load(encoderParts(encoders));
  return { gpu, name: folder.name, ...encoders, sha256: parts.sha256(), free: parts.free };
}

/** A model of a folder whose weights are to be loaded. */
interface Part {
  /** Its directory. */
  name: string;
  model: Model;
  dtype: Float | "auto";
  prefixes?: readonly string[];
}

/** Reads the parts of a model folder, and hashes what it reads. */
interface PartLoader {
  config(path: string): Promise<[file: string, config: Config]>;
  /** Loads all of them, or none where one fails. */
  load(parts: readonly Part[]): Promise<void>;
  sha256(): string;
  free(): void;
}

function createPartLoader(gpu: Gpu, platform: Platform, folder: FolderSource, { signal, onProgress }: LdmOptions): PartLoader {
  const hasher = platform.createHasher();
  const loaded: Model[] = [];
  const free = () => loaded.forEach(freeModel);
  const loadOne = async ({ name, model, dtype, prefixes }: Part) => {
    const checkpoint = await openCheckpoint(folder, await findWeights(folder, name));
    try {
      await loadModel(gpu, model, checkpoint, {
        prefixes, dtype, signal,
        onBytes: (bytes) => hasher.update(bytes),
        onProgress: (bytes, total) => onProgress?.(name, bytes, total),
      });
      loaded.push(model);
    } finally {
      await checkpoint.close();
    }
  };
  return {
    async config(path) {
      const text = await readText(folder, path);
      hasher.update(new TextEncoder().encode(text));
      const file = `${folder.name}/${path}`;
      return [file, parseJson(file, text) as Config];
    },
    async load(parts) {
      try {
        for (const part of parts) await loadOne(part);
      } catch (error) {
        free();
        throw error;
      }
    },
    sha256: () => hasher.hex(),
    free,
  };
}

type Encoders = Pick<LatentEncoders, "vae" | "textEncoder" | "tokenizer">;

/** VAE and text encoder as their configs describe them, without weights. */
async function readEncoders(parts: PartLoader, folder: FolderSource): Promise<Encoders> {
  const vae = new AutoencoderKL(readVaeConfig(...(await parts.config("vae/config.json"))));
  const textEncoder = createTextEncoder(...(await parts.config("text_encoder/config.json")));
  const tokenizer = await loadTokenizer(async (name) => ((await folder.has(`tokenizer/${name}`)) ? readText(folder, `tokenizer/${name}`) : undefined), { where: `${folder.name}/tokenizer` });
  if (tokenizer.length > textEncoder.positions) throw new InputError(folder.name, `the tokenizer gives ${tokenizer.length} positions, the text encoder has ${textEncoder.positions}`);
  return { vae, textEncoder, tokenizer };
}

function encoderParts({ vae, textEncoder }: Encoders): Part[] {
  return [
    { name: "text_encoder", model: textEncoder.model, dtype: "auto", prefixes: textEncoder.prefixes },
    { name: "vae", model: vae, dtype: "auto" },
  ];
}

/** The U-Net of a folder must fit its encoders. */
function checkUNetFits(name: string, unet: UNet2DConditionModel, { vae, textEncoder }: Encoders): void {
  const contextWidth = unet.config.levels[0].contextWidth;
  if (contextWidth !== textEncoder.width) throw new InputError(name, `the U-Net reads text of ${contextWidth} channels, the text encoder gives ${textEncoder.width}`);
  if (unet.config.inChannels !== vae.config.latentChannels) throw new InputError(name, `the U-Net reads ${unet.config.inChannels} channels, the VAE's latent has ${vae.config.latentChannels}`);
}
