import { access } from "node:fs/promises";
import { join } from "node:path";
import type { DataSample } from "../data/layouts/layout.ts";
import { readFilm } from "../data/decode_node.ts";
import { InputError } from "../errors.ts";
import { prepareImage } from "../grounding/prepare_image.ts";
import type { LatentEncoders } from "../models/ldm.ts";
import { alternatives } from "../text/captions.ts";
import { sliceLast } from "../ops/pointwise.ts";
import { type Tensor, sizeOf } from "../tensor.ts";
import { writeFileAtomically, writeSafetensorsFile } from "../weights/atomic_file_node.ts";
import { parseJson, readJson } from "../weights/byte_source.ts";
import { openFile, openFolder } from "../weights/byte_source_node.ts";
import { openCheckpointSource } from "../weights/open_checkpoint.ts";
import { type Configuration, checkSameConfiguration } from "./checkpoint.ts";
import { fingerprint } from "./fingerprint_node.ts";
import { LATENT_INDEX, type LatentIndex, type StoredSample, latentsFile, textsFile } from "./latent_dataset_node.ts";
import { type Skipped, skippedSamples } from "./skipped.ts";

/** Options of `precompute`. */
export interface PrecomputeOptions {
  /** Takes the samples whose film cannot be read. Default: one sample of a hundred, in silence. */
  skipped?: Skipped;
  /** The data set's folder: the same data set elsewhere is known again. Default: the working folder. */
  folder?: string;
  /** Called when a shard of films or texts is on the disk. */
  onProgress?: (part: "films" | "texts", done: number, total: number) => void;
  /** Ends the work before its next batch; it rejects with the signal's reason, and files that are done stay. */
  signal?: AbortSignal;
}

/** What the files of the folder are made of. */
const PLAN = "plan.json";
/** Samples of one file of latents, embeddings of one of texts. */
const SHARD = 512;
/** Pixels that the VAE encodes at a time. */
const BATCH_PIXELS = 512 * 512;
/** Texts that are encoded at a time. */
const TEXT_BATCH = 32;

/**
 * Encodes the films and captions of a data set once: posterior means and log-variances, and the embedding of every
 * alternative of every caption, in files of 512. Files that an earlier call finished are kept.
 * Throws InputError when more samples cannot be read than may be skipped, or none can, or the folder is of another model.
 */
export async function precompute(encoders: LatentEncoders, samples: readonly DataSample[], out: string, options: PrecomputeOptions = {}): Promise<LatentIndex> {
  const captions = samples.map(({ caption }) => alternatives(caption));
  // The empty text comes first.
  const texts = [...new Set(["", ...captions.flat()])];
  const rows = new Map(texts.map((text, row) => [text, row]));
  const { sampleSize, latentChannels } = encoders.vae.config;
  const side = sampleSize / encoders.vae.factor;
  const shape = { latentShape: [side, side, latentChannels], textShape: [encoders.tokenizer.length, encoders.textEncoder.width] } as const;
  const plan = { model: encoders.sha256, data: fingerprint(samples, options.folder ?? ""), shard: SHARD, ...shape };
  await agreeOnPlan(out, plan);

  const { skipped = defaultSkipped(samples), signal } = options;
  const unreadable = new Set<number>();
  for (let start = 0; start < samples.length; start += SHARD) {
    const failed = await encodeFilms(encoders, samples.slice(start, start + SHARD), join(out, latentsFile(start / SHARD)), { skipped, signal });
    for (const i of failed) unreadable.add(start + i);
    options.onProgress?.("films", Math.min(start + SHARD, samples.length), samples.length);
  }
  for (let start = 0; start < texts.length; start += SHARD) {
    await encodeTexts(encoders, texts.slice(start, start + SHARD), join(out, textsFile(start / SHARD)), signal);
    options.onProgress?.("texts", Math.min(start + SHARD, texts.length), texts.length);
  }

  const stored = samples.flatMap(({ id }, row): StoredSample[] => (unreadable.has(row) ? [] : [{ id, row, texts: captions[row].map((text) => rows.get(text) as number) }]));
  if (stored.length === 0) throw new InputError(out, "would hold no sample: no film of the data set can be read; attnscope data check lists what is wrong");
  const index: LatentIndex = { ...plan, texts, samples: stored };
  await writeFileAtomically(join(out, LATENT_INDEX), (sink) => sink.write(new TextEncoder().encode(JSON.stringify(index))));
  return index;
}

function defaultSkipped(samples: readonly DataSample[]): Skipped {
  const skipped = skippedSamples("data", 0.01, () => undefined);
  skipped.limit(samples.length);
  return skipped;
}

/** Makes sure that the files in a folder are of this model and data, or that there are none yet. */
async function agreeOnPlan(out: string, plan: Configuration): Promise<void> {
  const folder = openFolder(out);
  if (await folder.has(PLAN)) checkSameConfiguration(join(out, PLAN), (await readJson(folder, PLAN)) as Configuration, plan);
  else await writeFileAtomically(join(out, PLAN), (sink) => sink.write(new TextEncoder().encode(JSON.stringify(plan))));
}

/** Encodes the films of a file of latents; gives the places of those that cannot be read, whose rows stay zero. */
async function encodeFilms({ gpu, vae }: LatentEncoders, samples: readonly DataSample[], path: string, { skipped, signal }: { skipped: Skipped; signal?: AbortSignal }): Promise<number[]> {
  if (await exists(path)) {
    const failed = await failedIn(path);
    for (const i of failed) skipped.leaveOut(samples[i].line, `its film could not be read when ${path} was made (remove that file to try again)`);
    return failed;
  }
  const { sampleSize, latentChannels } = vae.config;
  const shape = [samples.length, sampleSize / vae.factor, sampleSize / vae.factor, latentChannels];
  const itemSize = sizeOf(shape) / samples.length;
  const [mean, logvar] = [new Float32Array(sizeOf(shape)), new Float32Array(sizeOf(shape))];
  const failed: number[] = [];
  const batch = Math.max(1, Math.floor(BATCH_PIXELS / sampleSize ** 2));
  for (let start = 0; start < samples.length; start += batch) {
    signal?.throwIfAborted();
    const films = samples.slice(start, start + batch);
    const filmShape = [sampleSize, sampleSize, 3];
    const pixels = new Float32Array(films.length * sizeOf(filmShape));
    await Promise.all(films.map(async (sample, i) => {
      try {
        pixels.set(prepareImage(await readFilm(sample.imagePath), sampleSize), i * sizeOf(filmShape));
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        skipped.leaveOut(sample.line, error.message);
        failed.push(start + i);
      }
    }));
    const parts = gpu.scope("precompute", () => {
      const moments = vae.encode(gpu.tensor(pixels, [films.length, ...filmShape]));
      return [sliceLast(moments, 0, latentChannels), sliceLast(moments, latentChannels, 2 * latentChannels)];
    });
    mean.set(await readAndFree(parts[0]), start * itemSize);
    logvar.set(await readAndFree(parts[1]), start * itemSize);
  }
  await writeSafetensorsFile(path, [floats("mean", shape, mean), floats("logvar", shape, logvar)], { failed: JSON.stringify(failed) });
  return failed;
}

/** The places of the samples that an earlier call could not read. */
async function failedIn(path: string): Promise<number[]> {
  const file = await openCheckpointSource(await openFile(path));
  await file.close();
  return parseJson(path, file.metadata.failed ?? "[]") as number[];
}

async function encodeTexts(encoders: LatentEncoders, texts: readonly string[], path: string, signal?: AbortSignal): Promise<void> {
  if (await exists(path)) return;
  const { gpu, tokenizer, textEncoder } = encoders;
  const itemSize = tokenizer.length * textEncoder.width;
  const embeddings = new Float32Array(texts.length * itemSize);
  for (let start = 0; start < texts.length; ) {
    signal?.throwIfAborted();
    // The empty text is unmasked, as guidance reads it.
    const masked = texts[start] !== "";
    const batch = masked ? texts.slice(start, start + TEXT_BATCH) : [""];
    const encoded = gpu.scope("precompute", () => textEncoder.encode(gpu, batch.map((text) => tokenizer.encode(text)), { masked, dtype: "f32" }));
    embeddings.set(await readAndFree(encoded), start * itemSize);
    start += batch.length;
  }
  await writeSafetensorsFile(path, [floats("texts", [texts.length, tokenizer.length, textEncoder.width], embeddings)]);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}

async function readAndFree(tensor: Tensor): Promise<Float32Array> {
  try {
    return await tensor.read();
  } finally {
    tensor.free();
  }
}

function floats(name: string, shape: readonly number[], values: Float32Array) {
  return { name, dtype: "F32" as const, shape, chunks: () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)] };
}
