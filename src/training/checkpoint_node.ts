import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { InputError } from "../errors.ts";
import { onDisk, renameDurably, writeFileAtomically } from "../weights/atomic_file_node.ts";
import { type ByteSink, writeSafetensors } from "../weights/safetensors_writer.ts";
import { type CheckpointFile, type Configuration, checkSameConfiguration } from "./checkpoint.ts";

/** What training.json of a checkpoint says. */
interface Manifest {
  /** Optimiser steps that were taken: with the seed, all that order and noise depend on. */
  readonly step: number;
  readonly configuration: Configuration;
  /** SHA-256 of every other file, by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** A checkpoint that is whole. */
export interface FoundCheckpoint {
  /** Its path: `checkpoint-` and the step in six digits, in the run's folder. */
  readonly folder: string;
  /** Optimiser steps that were taken. */
  readonly step: number;
  /** What its run was about, as its training.json says. */
  readonly configuration: Configuration;
}

const MANIFEST = "training.json";
const NAME = /^checkpoint-(\d+)$/;
const UNFINISHED = /\.\d+\.tmp$/;

/**
 * Writes a checkpoint into a run's folder: under a temporary name, every file synced, then renamed, so that a
 * checkpoint of that name is whole whenever the process ends. Then removes those of later steps, which the run passed
 * over as damaged and will take again, and all but the last `keep` of the others.
 * @returns its folder
 * @throws InputError where it cannot be written; earlier checkpoints are untouched then
 */
export async function saveCheckpoint(run: string, step: number, configuration: Configuration, contents: readonly CheckpointFile[], keep: number): Promise<string> {
  const folder = join(run, `checkpoint-${String(step).padStart(6, "0")}`);
  const unfinished = `${folder}.${process.pid}.tmp`;
  try {
    const files: Record<string, string> = {};
    for (const file of contents) files[file.path] = await writeHashed(join(unfinished, file.path), file);
    await writeFileAtomically(join(unfinished, MANIFEST), (sink) => sink.write(encodeManifest({ step, configuration, files })));
    await removeCheckpoint(folder); // one of the same step that was found damaged
    await renameDurably(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
  const checkpoints = await listCheckpoints(run);
  const saved = checkpoints.findIndex((checkpoint) => checkpoint.step === step);
  for (const { folder: other } of [...checkpoints.slice(0, saved), ...checkpoints.slice(saved + keep)]) await removeCheckpoint(other);
  return folder;
}

/**
 * The newest whole checkpoint of a run, or undefined where it has left none. Damaged ones are told of and passed over.
 * @throws InputError where all are damaged: beginning anew would lose the run's record; naming the first difference
 * where the checkpoint belongs to another configuration
 */
export async function findLatestCheckpoint(run: string, configuration: Configuration, tell: (line: string) => void): Promise<FoundCheckpoint | undefined> {
  await removeUnfinished(run);
  const checkpoints = await listCheckpoints(run);
  for (const { folder, step } of checkpoints) {
    const { manifest, fact } = await inspect(folder, step);
    if (fact !== undefined) {
      tell(`${folder} is damaged (${fact}); looking for the one before it`);
      continue;
    }
    checkSameConfiguration(folder, manifest.configuration, configuration);
    return { folder, step, configuration: manifest.configuration };
  }
  if (checkpoints.length > 0) throw new InputError(run, "has checkpoints, but none that is whole; put a copy of one there, or choose another --out");
  return undefined;
}

/** What a run is about, as its newest checkpoint says; undefined before there is one. */
export async function readConfiguration(run: string): Promise<Configuration | undefined> {
  for (const { folder } of await listCheckpoints(run)) {
    const manifest = await readManifest(folder);
    if (manifest) return manifest.configuration;
  }
  return undefined;
}

/** Whether a run has left checkpoints in a folder. */
export async function hasCheckpoints(run: string): Promise<boolean> {
  return (await listCheckpoints(run)).length > 0;
}

/** A run's checkpoints, the newest first. */
async function listCheckpoints(run: string): Promise<{ folder: string; step: number }[]> {
  const names = await namesIn(run);
  const steps = names.flatMap((name) => NAME.exec(name)?.[1] ?? []);
  return steps.map((digits) => ({ folder: join(run, `checkpoint-${digits}`), step: Number(digits) })).sort((a, b) => b.step - a.step);
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return [];
    throw new InputError(folder, `cannot be read (${cause.code}); choose another --out`, { cause });
  });
}

/** What processes that were killed had begun. */
async function removeUnfinished(run: string): Promise<void> {
  for (const name of await namesIn(run)) if (UNFINISHED.test(name)) await onDisk(run, rm(join(run, name), { recursive: true, force: true }));
}

/** Removes a checkpoint so that no half of it is ever seen under its name. */
async function removeCheckpoint(folder: string): Promise<void> {
  const removed = `${folder}.old.${process.pid}.tmp`;
  const found = await rename(folder, removed).then(() => true, (error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? false : onDisk(folder, Promise.reject(error))));
  if (found) await onDisk(folder, rm(removed, { recursive: true, force: true }));
}

// --- files and their hashes ----------------------------------------------------------------------------------------

/** Writes a file and gives the SHA-256 of its bytes. */
async function writeHashed(path: string, { content }: CheckpointFile): Promise<string> {
  const hash = createHash("sha256");
  await writeFileAtomically(path, async (sink) => {
    const hashing: ByteSink = {
      write(bytes) {
        hash.update(bytes);
        return sink.write(bytes);
      },
    };
    if (typeof content === "string") await hashing.write(new TextEncoder().encode(content));
    else await writeSafetensors(hashing, content);
  });
  return hash.digest("hex");
}

/** The manifest's text with its own SHA-256. */
function encodeManifest(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ sha256: sha256(JSON.stringify(manifest)), ...manifest }, undefined, 1)}\n`);
}

type Inspection = { manifest: Manifest; fact?: undefined } | { manifest?: undefined; fact: string };

/** A checkpoint's manifest, or what is wrong with the checkpoint. */
async function inspect(folder: string, step: number): Promise<Inspection> {
  const parsed = await readManifest(folder);
  if (!parsed || parsed.step !== step) return { fact: `${MANIFEST} is missing, cut off or changed` };
  for (const [path, expected] of Object.entries(parsed.files)) {
    const actual = await hashFile(join(folder, path));
    if (actual === undefined) return { fact: `${path} is missing` };
    if (actual !== expected) return { fact: `${path} is cut off or changed` };
  }
  return { manifest: parsed };
}

/** The manifest; undefined where it is not whole. */
async function readManifest(folder: string): Promise<Manifest | undefined> {
  try {
    const { sha256: expected, ...manifest } = JSON.parse(await readFile(join(folder, MANIFEST), "utf8"));
    return sha256(JSON.stringify(manifest)) === expected ? (manifest as Manifest) : undefined;
  } catch {
    return undefined;
  }
}

async function hashFile(path: string): Promise<string | undefined> {
  if (!(await stat(path).then((stats) => stats.isFile(), () => false))) return undefined;
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
