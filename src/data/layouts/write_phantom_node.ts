import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../errors.ts";
import { onDisk, writeFileAtomically } from "../../weights/atomic_file_node.ts";
import { parseJson } from "../../weights/byte_source.ts";
import { captionVocabulary } from "../phantom/captions.ts";
import { checkPhantomOptions, type PhantomSet, phantomSets } from "../phantom/film.ts";
import { drawShard, isDone, type PhantomPlan, planShards } from "./phantom_shards_node.ts";
import { writeMimicTable, writeMsCxrTables } from "./phantom_tables_node.ts";

/** Options of `writePhantomDataset`. */
export interface WritePhantomOptions {
  /** Called as films are drawn: how many of all. */
  readonly onProgress?: (set: PhantomSet, done: number, total: number) => void;
  /** Ends the run, which rejects with the signal's reason; the next one goes on from the films that are done. */
  readonly signal?: AbortSignal;
}

/** What a run did. */
export interface PhantomSummary {
  /** Films of the data set. */
  readonly films: number;
  /** Those that this run drew; earlier ones left the others. */
  readonly drawn: number;
  /** Seconds on the clock that this run took. */
  readonly seconds: number;
}

/** The folders of a phantom data set, each with the sets of films in its table. */
export const phantomFolders = {
  "mimic-cxr-jpg": ["train", "validate", "test"],
  "ms-cxr": ["single"],
  "ms-cxr-pairs": ["pairs"],
} as const satisfies Readonly<Record<string, readonly PhantomSet[]>>;

/** Tells what a folder's films are, and whether they are complete. */
const MANIFEST = "phantom.json";
const SHARDS = ".shards";

/**
 * Writes the phantom: train, validate and test in the MIMIC-CXR-JPG layout, films with one and with two findings in the
 * MS-CXR layout, and beside each table `phantom.jsonl` with all that the generator knows. A run that was interrupted goes
 * on where it was, and a file appears under its name only when it is complete.
 * @throws InputError where the folder cannot be written or holds something else; an AbortError where it is interrupted
 */
export async function writePhantomDataset(folder: string, plan: PhantomPlan, options: WritePhantomOptions = {}): Promise<PhantomSummary> {
  checkPhantomOptions(plan.seed, plan.size);
  const started = performance.now();
  const films = phantomSets.reduce((sum, set) => sum + plan.counts[set], 0);
  const drawn = (await claimFolder(folder, plan)) ? 0 : await finish(folder, plan, films, options);
  return { films, drawn, seconds: (performance.now() - started) / 1000 };
}

/** Draws what is not there yet, then writes the tables. @returns how many films were drawn */
async function finish(folder: string, plan: PhantomPlan, films: number, { onProgress, signal }: WritePhantomOptions): Promise<number> {
  const shardsOf = (set: PhantomSet) => planShards(join(folder, SHARDS), plan, set);
  let done = 0;
  let drawn = 0;
  for (const [name, sets] of Object.entries(phantomFolders)) {
    for (const shard of sets.flatMap(shardsOf)) {
      if (await isDone(shard)) {
        done += shard.end - shard.start;
        continue;
      }
      const onBatch = (count: number) => {
        drawn += count;
        done += count;
        onProgress?.(shard.set, done, films);
      };
      await drawShard(shard, join(folder, name), plan, onBatch, signal);
    }
  }
  await writeMimicTable(join(folder, "mimic-cxr-jpg"), phantomFolders["mimic-cxr-jpg"].flatMap(shardsOf));
  await writeMsCxrTables(join(folder, "ms-cxr"), phantomFolders["ms-cxr"].flatMap(shardsOf));
  await writeMsCxrTables(join(folder, "ms-cxr-pairs"), phantomFolders["ms-cxr-pairs"].flatMap(shardsOf));
  await writeManifest(folder, plan, true);
  await rm(join(folder, SHARDS), { recursive: true });
  return drawn;
}

/**
 * Makes sure that the folder is new, or the same data set's.
 * @returns whether the data set is complete already
 * @throws InputError where it is something else
 */
async function claimFolder(folder: string, plan: PhantomPlan): Promise<boolean> {
  const file = join(folder, MANIFEST);
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw new InputError(file, `cannot be read (${cause.code}); choose another --out`, { cause });
    return undefined;
  });
  if (text === undefined) {
    const entries = await readdir(folder).catch(() => []);
    if (entries.length > 0) throw new InputError(folder, `is not empty and holds no phantom (${entries[0]}); choose another --out`);
    await writeManifest(folder, plan, false);
    return false;
  }
  const { complete, ...earlier } = parseJson(file, text) as ReturnType<typeof manifest>;
  const { complete: _, ...wanted } = manifest(plan, false);
  const differing = Object.entries(wanted).find(([name, value]) => JSON.stringify(value) !== JSON.stringify(earlier[name as keyof typeof earlier]));
  if (differing) throw new InputError(file, `is of a phantom with another ${differing[0]}; choose another --out or remove the folder`);
  if (!complete) await removeLeftovers(folder);
  return complete;
}

/** Removes what a process that was killed was writing. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = await onDisk(folder, readdir(folder, { recursive: true }));
  for (const name of names) if (name.endsWith(".tmp")) await onDisk(folder, rm(join(folder, name)));
}

function manifest({ seed, size, counts }: PhantomPlan, complete: boolean) {
  return { generator: "attnscope data phantom", seed, size, counts, vocabulary: captionVocabulary(), complete };
}

async function writeManifest(folder: string, plan: PhantomPlan, complete: boolean): Promise<void> {
  const text = `${JSON.stringify(manifest(plan, complete), null, 1)}\n`;
  await writeFileAtomically(join(folder, MANIFEST), (sink) => sink.write(new TextEncoder().encode(text)));
}
