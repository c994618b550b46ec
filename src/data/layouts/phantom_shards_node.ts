import { access, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import { onDisk, writeFileAtomically } from "../../weights/atomic_file_node.ts";
import { parseJson } from "../../weights/byte_source.ts";
import { drawPhantomFilm, type PhantomFilm, type PhantomSet } from "../phantom/film.ts";
import { type PhantomRecord, phantomRecord } from "./phantom_record.ts";

/** Which films to make. */
export interface PhantomPlan {
  readonly seed: number;
  /** Side of the films in pixels. */
  readonly size: number;
  /** How many films each set has. */
  readonly counts: Readonly<Record<PhantomSet, number>>;
}

/** A stretch of a set that is done or not done as one. Its records are written when all its films are. */
export interface Shard {
  readonly set: PhantomSet;
  readonly start: number;
  readonly end: number;
  /** Path of the file of its records, one JSON object a line. */
  readonly file: string;
}

/** Two or three seconds of work. */
const SHARD_FILMS = 250;

/** Films drawn one after the other, then written together, so that they wait for the disk together. */
const BATCH_FILMS = 16;

/** The shards of a set, their records in `folder`. */
export function planShards(folder: string, { counts }: PhantomPlan, set: PhantomSet): Shard[] {
  return Array.from({ length: Math.ceil(counts[set] / SHARD_FILMS) }, (_, i) => {
    const start = i * SHARD_FILMS;
    return { set, start, end: Math.min(start + SHARD_FILMS, counts[set]), file: join(folder, `${set}-${String(start).padStart(6, "0")}.jsonl`) };
  });
}

/** Whether an earlier run finished a shard. */
export async function isDone({ file }: Shard): Promise<boolean> {
  return access(file).then(() => true, () => false);
}

/**
 * Draws a shard's films into `folder` and then writes its records.
 * @param onBatch told of how many films more are written
 * @throws InputError where files cannot be written; an AbortError between two batches
 */
export async function drawShard(
  { set, start, end, file }: Shard,
  folder: string,
  { seed, size }: PhantomPlan,
  onBatch: (films: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const lines: string[] = [];
  for (let first = start; first < end; first += BATCH_FILMS) {
    signal?.throwIfAborted();
    const films = Array.from({ length: Math.min(BATCH_FILMS, end - first) }, (_, i) => drawPhantomFilm(seed, set, first + i, size));
    const records = films.map((film, i) => phantomRecord(film, seed, set, first + i));
    const paths = records.map(({ path }) => join(folder, path));
    // Beforehand, since folders that are made several times at once get in each other's way.
    for (const parent of new Set(paths.map(dirname))) await onDisk(parent, mkdir(parent, { recursive: true }));
    await Promise.all(films.map((film, i) => writeBytes(paths[i], toPng(film))));
    lines.push(...records.map((record) => `${JSON.stringify(record)}\n`));
    onBatch(films.length);
  }
  await writeBytes(file, new TextEncoder().encode(lines.join("")));
}

/** The records of a shard that is done. @throws InputError where its file is damaged */
export async function readShard({ file }: Shard): Promise<PhantomRecord[]> {
  const lines = (await readFile(file, "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line) => parseJson(file, line) as PhantomRecord);
}

/** Like the pixels, the file's bytes are the same on every platform: this encoder is JavaScript all through. */
function toPng({ size, pixels }: PhantomFilm): Uint8Array {
  return encode({ width: size, height: size, channels: 1, depth: 8, data: pixels });
}

function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  return writeFileAtomically(path, (sink) => sink.write(bytes));
}
