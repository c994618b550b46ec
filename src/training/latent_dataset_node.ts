import { InputError } from "../errors.ts";
import { parseJson, readText } from "../weights/byte_source.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import type { Checkpoint } from "../weights/checkpoint.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";
import type { LatentDataset } from "./unet_training.ts";

/** A sample whose latent was computed. */
export interface StoredSample {
  /** The data set's own, such as a dicom_id. */
  readonly id: string;
  /** Its row, counted through all files of latents. */
  readonly row: number;
  /** Rows of its caption's alternatives in the files of texts. */
  readonly texts: readonly number[];
}

/** What the folder of a precomputed data set holds. Row 0 of the texts is the empty one. */
export interface LatentIndex {
  /** SHA-256 of the text encoder and VAE that computed it. */
  readonly model: string;
  /** SHA-256 of what the data set held. */
  readonly data: string;
  /** Rows of a file. */
  readonly shard: number;
  /** Of each of mean and log-variance. */
  readonly latentShape: readonly [height: number, width: number, channels: number];
  /** Of each embedding: the tokenizer's N and the encoder's channels. */
  readonly textShape: readonly [tokens: number, width: number];
  /** Every different text once, in the order of the rows. */
  readonly texts: readonly string[];
  /** Those whose film could be read, in the data set's order. */
  readonly samples: readonly StoredSample[];
}

/** File of the index, written when all others are complete. */
export const LATENT_INDEX = "index.json";

/** File of a shard of latents, counted from 0: `mean` and `logvar`, each [samples, h, w, C]. */
export function latentsFile(shard: number): string {
  return `latents-${String(shard).padStart(5, "0")}.safetensors`;
}

/** File of a shard of embeddings, counted from 0: `texts` [texts, tokens, width]. */
export function textsFile(shard: number): string {
  return `texts-${String(shard).padStart(5, "0")}.safetensors`;
}

/** A precomputed data set; its files are read row by row and stay open. */
export interface StoredLatents extends LatentDataset {
  /** What its index.json says. */
  readonly index: LatentIndex;
  /** Closes its files. */
  close(): Promise<void>;
}

/** Opens what `precompute` left. Throws InputError where it is missing or was not finished. */
export async function openLatents(location: string): Promise<StoredLatents> {
  const folder = openFolder(location);
  if (!(await folder.has(LATENT_INDEX))) throw new InputError(location, `has no ${LATENT_INDEX}; make it, or finish it, with attnscope data precompute`);
  const index = parseJson(`${location}/${LATENT_INDEX}`, await readText(folder, LATENT_INDEX)) as LatentIndex;
  const files = new Map<string, Promise<Checkpoint>>();
  const fileOf = (path: string) => {
    let file = files.get(path);
    if (!file) files.set(path, (file = openCheckpoint(folder, path)));
    return file;
  };
  const readRow = async (path: string, name: string, row: number, into: Float32Array) => {
    const file = await fileOf(path);
    const entry = file.tensors.get(name);
    if (!entry || entry.byteLength < (row + 1) * into.byteLength) throw new InputError(file.name, `lacks row ${row} of ${name}; make the folder again with attnscope data precompute`);
    await file.read(entry, row * into.byteLength, into.byteLength, new Uint8Array(into.buffer, into.byteOffset, into.byteLength));
  };
  const { shard, samples, texts } = index;
  return {
    index,
    count: samples.length,
    latentShape: index.latentShape,
    textShape: index.textShape,
    texts: (sample) => samples[sample].texts.map((row) => texts[row]),
    async readMoments(sample, { mean, logvar }) {
      const { row } = samples[sample];
      const path = latentsFile(Math.floor(row / shard));
      await readRow(path, "mean", row % shard, mean);
      await readRow(path, "logvar", row % shard, logvar);
    },
    async readText(sample, text, into) {
      const row = text === undefined ? 0 : samples[sample].texts[text];
      await readRow(textsFile(Math.floor(row / shard)), "texts", row % shard, into);
    },
    async close() {
      for (const file of files.values()) await (await file).close();
      files.clear();
    },
  };
}
