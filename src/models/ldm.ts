import { Schedule } from "../diffusion/schedule.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Float } from "../ops/check.ts";
import type { Platform } from "../platform.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { type FolderSource, parseJson, readJson, readText } from "../weights/byte_source.ts";
import type { TensorSource } from "../weights/checkpoint.ts";
import { findWeights, openCheckpoint } from "../weights/open_checkpoint.ts";
import type { Config } from "../config.ts";
import { loadModel } from "./load.ts";
import { LORA_FILE, LORA_FOLDER, type Lora, attachLoraOf, loraPrefixes } from "./lora.ts";
import { type Model, freeModel } from "./parameters.ts";
import type { TextEncoderModel } from "./text_encoder.ts";
import { type TextEncoderPlace, findTextEncoder, openTextEncoder, ownTextEncoder } from "./text_encoder_folder.ts";
import { UNet2DConditionModel } from "./unet.ts";
import { type UNetConfig, readUNetConfig, textWidths } from "./unet_config.ts";
import { AutoencoderKL, readVaeConfig } from "./vae.ts";

/** Options of `loadLatentDiffusion`. */
export interface LdmOptions {
  /** Storage of the U-Net's weights and activations. Default f32 (weights that are f16 in the file stay f16: exact). */
  dtype?: Float;
  /** Take the moving averages: the U-Net from `unet_ema/`, or where the folder has a LoRA, that from `unet_lora_ema/`. */
  ema?: boolean;
  /**
   * Folder, path or URL of a text encoder with its tokenizer, in place of the model's own: a published repository with
   * its files side by side, or a model folder in the diffusers layout.
   */
  textEncoder?: string | FolderSource;
  /** Bytes loaded so far of all bytes of the part that is loading. */
  onProgress?: (part: string, bytes: number, total: number) => void;
  /** Ends the loading, which rejects with the signal's reason; what was loaded so far is freed. */
  signal?: AbortSignal;
}

/** What turns films into latents and phrases into embeddings: text encoder, tokenizer and VAE of one folder. */
export interface LatentEncoders {
  /** The device that holds all models. */
  readonly gpu: Gpu;
  /** Path or URL of the folder, as errors name it. */
  readonly name: string;
  /** Of the folder `vae`. */
  readonly vae: AutoencoderKL;
  /** The folder's own, or that of `LdmOptions.textEncoder`. */
  readonly textEncoder: TextEncoderModel;
  /** The text encoder's own; its `length` is N, the positions of every phrase. */
  readonly tokenizer: Tokenizer;
  /** Folder of the text encoder, where it is not the model's own. */
  readonly textEncoderName?: string;
  /** SHA-256 over the configs and all weights, in the order in which the models declare them. */
  readonly sha256: string;
  /** Gives the memory of the models back. */
  free(): void;
}

/** A latent diffusion model: text encoder, U-Net, VAE, tokenizer and schedule of one folder in the diffusers layout. */
export interface LatentDiffusion extends LatentEncoders {
  /** With the factors of the folder's LoRA on its projections, where it has one. */
  readonly unet: UNet2DConditionModel;
  /** Folder of these factors. */
  readonly lora?: string;
  /** DDIM with the settings of `scheduler/scheduler_config.json`. */
  readonly schedule: Schedule;
  /** Type of the U-Net's activations; the text encoder and the VAE run in f32 (the VAE's activations overflow f16). */
  readonly dtype: Float;
}

/** Loads a model folder onto the device. Throws InputError or WeightsError naming the file and what is wrong with it. */
export async function loadLatentDiffusion(gpu: Gpu, platform: Platform, folder: FolderSource, options: LdmOptions = {}): Promise<LatentDiffusion> {
  const dtype = options.dtype ?? "f32";
  if (dtype === "f16" && !gpu.has("shader-f16")) throw new InputError("--dtype", "f16 needs the device feature shader-f16, which this device does not have; use f32");
  const parts = createPartLoader(gpu, platform, folder, options);
  const average = options.ema ? "_ema" : "";
  // A LoRA was trained on the U-Net itself, not on its average.
  const loraFolder = (await folder.has(`${LORA_FOLDER}/${LORA_FILE}`)) ? `${LORA_FOLDER}${average}` : undefined;
  const unetFolder = loraFolder ? "unet" : `unet${average}`;
  const unet = new UNet2DConditionModel(readUNetConfig(...(await parts.config(`${unetFolder}/config.json`))));
  const { encoders, weights } = await openEncoders(parts, platform, folder, options);
  const schedule = new Schedule(...(await parts.config("scheduler/scheduler_config.json")));
  checkUNetFits(folder.name, unet.config, encoders);
  const storage = dtype === "f16" ? "f16" : "auto";
  await parts.load([
    ...weights,
    { folder, directory: unetFolder, model: unet, dtype: storage },
    ...(loraFolder ? [{ folder, directory: loraFolder, file: LORA_FILE, model: await attachLoraIn(parts, folder, loraFolder, unet), dtype: storage, prefixes: loraPrefixes } as const] : []),
  ]);
  return { gpu, name: folder.name, ...encoders, unet, lora: loraFolder, schedule, dtype, sha256: parts.sha256(), free: parts.free };
}

/**
 * Loads the text encoder and the VAE of a model folder, which needs no U-Net yet.
 * Throws InputError or WeightsError naming the file and what is wrong with it.
 */
export async function loadLatentEncoders(gpu: Gpu, platform: Platform, folder: FolderSource, options: Omit<LdmOptions, "dtype" | "ema"> = {}): Promise<LatentEncoders> {
  const parts = createPartLoader(gpu, platform, folder, options);
  const { encoders, weights } = await openEncoders(parts, platform, folder, options);
  if (await folder.has("unet/config.json")) {
    const config = (await readJson(folder, "unet/config.json")) as Config;
    checkUNetFits(folder.name, readUNetConfig(`${folder.name}/unet/config.json`, config), encoders);
  }
  await parts.load(weights);
  return { gpu, name: folder.name, ...encoders, sha256: parts.sha256(), free: parts.free };
}

/** Puts the factors of a folder's LoRA on a U-Net; they are yet to be loaded. What multiplies them goes into the hash. */
async function attachLoraIn(parts: PartLoader, folder: FolderSource, directory: string, unet: UNet2DConditionModel): Promise<Lora> {
  const file = await openCheckpoint(folder, `${directory}/${LORA_FILE}`);
  const lora = await attachLoraOf(unet, file).finally(() => file.close());
  parts.hash(JSON.stringify([...unet.parameters.values()].flatMap(({ name, lowRank }) => (lowRank ? [[name, lowRank.factor]] : []))));
  return lora;
}

/** A model whose weights are to be loaded. */
interface Part {
  folder: FolderSource;
  directory: string;
  /** The file in it, where that has no usual name. */
  file?: string;
  /** Prefixes of its keys (`LoadOptions`). */
  prefixes?: readonly string[];
  model: Model;
  dtype: Float | "auto";
  /** The checkpoint's tensors by the model's names. Default: as they are. */
  tensorsOf?: (checkpoint: TensorSource) => TensorSource;
}

/** Reads the parts of a model, and hashes what it reads. */
interface PartLoader {
  config(path: string): Promise<[file: string, config: Config]>;
  /** Takes a text into the hash. */
  hash(text: string): void;
  /** Loads all of them, or none where one fails. */
  load(parts: readonly Part[]): Promise<void>;
  sha256(): string;
  free(): void;
}

function createPartLoader(gpu: Gpu, platform: Platform, folder: FolderSource, { signal, onProgress }: LdmOptions): PartLoader {
  const hasher = platform.createHasher();
  const hash = (text: string) => hasher.update(new TextEncoder().encode(text));
  const loaded: Model[] = [];
  const free = () => loaded.forEach(freeModel);
  const loadOne = async ({ folder, directory, file, model, dtype, prefixes, tensorsOf }: Part) => {
    const checkpoint = await openCheckpoint(folder, file === undefined ? await findWeights(folder, directory) : `${directory}/${file}`);
    try {
      await loadModel(gpu, model, tensorsOf?.(checkpoint) ?? checkpoint, {
        dtype, prefixes, signal,
        onBytes: (bytes) => hasher.update(bytes),
        onProgress: (bytes, total) => onProgress?.(directory || "text_encoder", bytes, total),
      });
      loaded.push(model);
    } finally {
      await checkpoint.close();
    }
  };
  return {
    hash,
    async config(path) {
      const text = await readText(folder, path);
      hash(text);
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

type Encoders = Pick<LatentEncoders, "vae" | "textEncoder" | "tokenizer" | "textEncoderName">;

/** VAE and text encoder as their configurations describe them, and where their weights are. */
async function openEncoders(parts: PartLoader, platform: Platform, folder: FolderSource, options: LdmOptions): Promise<{ encoders: Encoders; weights: Part[] }> {
  const vae = new AutoencoderKL(readVaeConfig(...(await parts.config("vae/config.json"))));
  const place = await textEncoderPlace(platform, folder, options);
  const { textEncoder, tokenizer, configText } = await openTextEncoder(place);
  parts.hash(configText);
  return {
    encoders: { vae, textEncoder, tokenizer, textEncoderName: options.textEncoder === undefined ? undefined : place.folder.name },
    weights: [
      { ...place, model: textEncoder.model, dtype: "auto", tensorsOf: textEncoder.tensorsOf },
      { folder, directory: "vae", model: vae, dtype: "auto" },
    ],
  };
}

async function textEncoderPlace(platform: Platform, folder: FolderSource, { textEncoder }: LdmOptions): Promise<TextEncoderPlace> {
  if (textEncoder === undefined) return ownTextEncoder(folder);
  return findTextEncoder(typeof textEncoder === "string" ? platform.openFolder(textEncoder) : textEncoder);
}

/** A U-Net must fit the encoders it is used with. */
function checkUNetFits(name: string, config: UNetConfig, { vae, textEncoder, textEncoderName }: Encoders): void {
  const { inChannels } = config;
  const widths = textWidths(config);
  if (widths.some((width) => width !== textEncoder.width)) {
    const where = textEncoderName ?? name;
    throw new InputError(where, `the text encoder gives ${textEncoder.width} channels, the U-Net of ${name} reads ${widths.join(" and ")} (cross_attention_dim); use the encoder that the U-Net was trained with`);
  }
  if (inChannels !== vae.config.latentChannels) throw new InputError(name, `the U-Net reads ${inChannels} channels, the VAE's latent has ${vae.config.latentChannels}`);
}
