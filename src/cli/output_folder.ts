import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, rmdir } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { phraseSlug } from "../text/phrase_slug.ts";
import { makeFolders, onDisk, replaceFolder } from "../weights/atomic_file_node.ts";

/** What makes two results the same one: it may be replaced by a new run. */
export interface ResultIdentity {
  imageSha256: string;
  phrase: string;
}

/** The folder that a run leaves its results in. Each result appears there complete or not at all. */
export interface OutputFolder {
  readonly path: string;
  /**
   * Lets `write` fill a folder under a temporary name, then gives it a name like `name`. That of an earlier run's
   * result of the same image and phrase is replaced; any other is left alone, and a number tells the new one apart.
   */
  add<T>(name: string, identity: ResultIdentity, write: (folder: string) => Promise<T>): Promise<{ folder: string; written: T }>;
  /** Removes temporary files and, where nothing was written, the folder itself. */
  close(): Promise<void>;
}

/** Bytes of an image's name in a folder's: with the phrase's 69 and a number, below the 255 that file systems allow. */
const LONGEST_BASE = 150;

/** `<image>__<phrase-slug>`: the image's name without extension, cut between characters where it is very long. */
export function resultName(imagePath: string, phrase: string): string {
  let base = "";
  for (const character of basename(imagePath, extname(imagePath))) {
    if (Buffer.byteLength(base + character) > LONGEST_BASE) break;
    base += character;
  }
  return `${base}__${phraseSlug(phrase)}`;
}

/** Files of a result folder. */
export const resultFiles = ["overlay.png", "heat.png", "mask.png", "map.npy", "words.png", "overlay.dcm", "segmentation.dcm", "result.json"] as const;

/** Makes the folder, or finds out at once that it cannot be written. @throws InputError */
export async function openOutputFolder(location: string): Promise<OutputFolder> {
  const path = resolve(location);
  const made = await makeFolders(path);
  const scratch = await onDisk(path, mkdtemp(join(path, ".attnscope-")));
  // Also where the process is told to end at once.
  const removeScratch = () => rmSync(scratch, { recursive: true, force: true });
  process.on("exit", removeScratch);
  const taken = new Set<string>();
  return {
    path,
    // One result at a time: the names in `scratch` are free again when the last one is in its place.
    async add(name, identity, write) {
      const fresh = join(scratch, "result");
      await mkdir(fresh);
      const written = await write(fresh);
      const folder = await freeName(path, name, identity, taken);
      taken.add(folder.toLowerCase());
      await replaceFolder(fresh, join(path, folder));
      return { folder, written };
    },
    async close() {
      process.off("exit", removeScratch);
      await rm(scratch, { recursive: true, force: true });
      // The innermost first: one that holds anything stays, and so do those around it.
      for (const folder of made.reverse()) await rmdir(folder).catch(() => undefined);
    },
  };
}

/** `name`, or `name-2`, `name-3` … where it belongs to something else. File systems may ignore case. */
async function freeName(folder: string, name: string, identity: ResultIdentity, taken: ReadonlySet<string>): Promise<string> {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (!taken.has(candidate.toLowerCase()) && (await mayReplace(join(folder, candidate), identity))) return candidate;
  }
}

/** Whether nothing is there, or the same result of an earlier run without anything added to it. */
async function mayReplace(path: string, { imageSha256, phrase }: ResultIdentity): Promise<boolean> {
  const entries = await readdir(path).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? undefined : [""]));
  if (!entries) return true;
  if (!entries.every((entry) => (resultFiles as readonly string[]).includes(entry))) return false;
  const earlier = await readFile(join(path, "result.json"), "utf8").then(JSON.parse).catch(() => undefined);
  return earlier?.image?.sha256 === imageSha256 && earlier?.phrase === phrase;
}
