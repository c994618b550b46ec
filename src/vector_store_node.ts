import { createHash } from "node:crypto";
import { readFile, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type BiasStore, MemoryBiasStore } from "./grounding/phrase_bias.ts";
import { writeFileAtomically } from "./weights/atomic_file_node.ts";

/** Options of `DiskVectorStore`. */
export interface DiskVectorStoreOptions {
  /** Most bytes that the folder's files may take together. Default: 1 GiB. */
  limitBytes?: number;
  /** Stands in every key: what another version of the program made may differ in the last bits and is not used. */
  version?: string;
  /** Called once where the folder cannot be written. Vectors are then kept in memory alone. */
  onUnwritable?: (reason: string) => void;
}

const extension = ".f32";
const digestBytes = 32;

/**
 * Vectors in a folder (text biases, features of images), one file a key: the name is the SHA-256 of version and key, the
 * content that of the vector (little-endian float32) and then the vector. A file that does not match its digest counts as
 * absent and is written anew. The least recently used files go first where the folder grows beyond its limit. Several
 * processes may share it.
 */
export class DiskVectorStore implements BiasStore {
  readonly #folder: string;
  readonly #limit: number;
  readonly #version: string;
  readonly #onUnwritable: (reason: string) => void;
  readonly #memory = new MemoryBiasStore();
  #bytes: number | undefined;
  #writable = true;

  constructor(folder: string, options: DiskVectorStoreOptions = {}) {
    this.#folder = folder;
    this.#limit = options.limitBytes ?? 2 ** 30;
    this.#version = options.version ?? "";
    this.#onUnwritable = options.onUnwritable ?? (() => undefined);
  }

  async get(key: string): Promise<Float32Array | undefined> {
    const inMemory = await this.#memory.get(key);
    if (inMemory) return inMemory;
    const path = this.#path(key);
    const vector = await readFile(path).then(parse, () => undefined);
    if (!vector) return undefined;
    await this.#memory.put(key, vector);
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined); // a folder that is only readable serves all the same
    return vector;
  }

  async put(key: string, vector: Float32Array): Promise<void> {
    await this.#memory.put(key, vector);
    const size = digestBytes + vector.byteLength;
    if (!this.#writable || size > this.#limit) return;
    try {
      const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
      await writeFileAtomically(this.#path(key), async (sink) => {
        await sink.write(digest(bytes));
        await sink.write(bytes);
      });
      this.#bytes = this.#bytes === undefined ? await this.#measure() : this.#bytes + size;
      if (this.#bytes > this.#limit) await this.#prune();
    } catch (error) {
      this.#writable = false;
      this.#onUnwritable((error as Error).message);
    }
  }

  #path(key: string): string {
    return join(this.#folder, createHash("sha256").update(this.#version + key).digest("hex") + extension);
  }

  async #measure(): Promise<number> {
    return (await this.#files()).reduce((sum, { size }) => sum + size, 0);
  }

  /** Removes the least recently used files until the rest fits. */
  async #prune(): Promise<void> {
    const files = (await this.#files()).sort((a, b) => a.used - b.used);
    let bytes = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files) {
      if (bytes <= this.#limit) break;
      await rm(path, { force: true });
      bytes -= size;
    }
    this.#bytes = bytes;
  }

  async #files(): Promise<{ path: string; size: number; used: number }[]> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(extension));
    const files = names.map(async (name) => {
      const path = join(this.#folder, name);
      const stats = await stat(path).catch(() => undefined); // another process may have removed it
      return stats ? [{ path, size: stats.size, used: stats.mtimeMs }] : [];
    });
    return (await Promise.all(files)).flat();
  }
}

/** The vector of a file, or undefined where it is damaged. */
function parse(file: Uint8Array): Float32Array | undefined {
  const bytes = file.subarray(digestBytes);
  if (bytes.byteLength === 0 || bytes.byteLength % 4 !== 0) return undefined;
  if (!digest(bytes).equals(file.subarray(0, digestBytes))) return undefined;
  return new Float32Array(new Uint8Array(bytes).buffer); // a copy: the file's bytes need not start at a multiple of 4
}

function digest(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
