import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../cache_folder_node.ts";
import { InputError } from "../errors.ts";
import type { AdapterFacts } from "../gpu/gpu.ts";
import { adapterName } from "../gpu/open.ts";
import { writeFileAtomically } from "../weights/atomic_file_node.ts";
import { type Tuning, formatTuning, parseTuning } from "./tuning_file.ts";

/** The tuning that counts on an adapter, if there is one. */
export interface FoundTuning {
  tuning?: Tuning;
  /** In words. */
  state: string;
}

/** Where the tuning of an adapter is kept. */
export function tuningFile(adapter: AdapterFacts): string {
  const name = adapterName(adapter).toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  return join(cacheFolder(), `tuning-${name || "unnamed"}.json`);
}

/** Reads a tuning; undefined where there is none. @throws InputError where it cannot be read */
export async function readTuning(file: string): Promise<Tuning | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw new InputError(file, `cannot be read (${error.code}); correct it, or run attnscope tune again`);
  });
  return text === undefined ? undefined : parseTuning(file, text);
}

/** Looks for the tuning of an adapter and its driver. `ATTNSCOPE_TUNING=off` ignores it. @throws InputError where it cannot be read */
export async function findTuning(adapter: AdapterFacts): Promise<FoundTuning> {
  if (process.env.ATTNSCOPE_TUNING === "off") return { state: "ignored, ATTNSCOPE_TUNING is off" };
  const file = tuningFile(adapter);
  const tuning = await readTuning(file);
  if (!tuning) return { state: "none, kernels by the adapter's features; attnscope tune measures which are fastest" };
  if (tuning.driver !== adapter.description) return { state: `ignored, ${file} is of another driver (${tuning.driver}); run attnscope tune again` };
  return { tuning, state: `used, ${file} of ${tuning.date.slice(0, 10)}` };
}

/** Writes the tuning of an adapter and returns its file. @throws InputError where it cannot be written */
export async function writeTuning(adapter: AdapterFacts, tuning: Tuning): Promise<string> {
  const file = tuningFile(adapter);
  await writeFileAtomically(file, (sink) => sink.write(new TextEncoder().encode(formatTuning(tuning))));
  return file;
}
