import { WeightsError } from "../errors.ts";

/** A file whose bytes can be read by range. */
export interface ByteSource {
  /** Path or URL, for messages. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Differs where the bytes do, such as a server's ETag; absent where nothing tells. */
  readonly version?: string;
  /**
   * Reads exactly `length` bytes from `offset`, into the beginning of `into` where it is given, otherwise into new memory.
   * @returns a view of `length` bytes
   * @throws WeightsError where the range is not inside the file or the bytes cannot be had
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Releases the file; calling it again does nothing. */
  close(): Promise<void>;
}

/** A folder of files, addressed by relative paths with `/`. */
export interface FolderSource {
  /** Path or URL, for messages. */
  readonly name: string;
  /** @throws WeightsError where the file is missing or cannot be read */
  open(path: string): Promise<ByteSource>;
  /** Whether the folder has a file of that path. */
  has(path: string): Promise<boolean>;
  /** Names of the files in a directory (`""`: the folder itself), in order; absent where they cannot be had, as over HTTP. */
  list?(directory: string): Promise<string[]>;
}

/** The part of `into`, or of new memory, that a read of `length` bytes at `offset` fills. @throws WeightsError on a range outside the file */
export function readTarget(source: Pick<ByteSource, "name" | "size">, offset: number, length: number, into?: Uint8Array): Uint8Array {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
    && offset + length <= source.size;
  if (!inside) {
    throw new WeightsError(source.name, `${length} bytes were asked for at byte ${offset} of a file of ${source.size}; it is truncated or malformed, get it again`);
  }
  if (into === undefined) return new Uint8Array(length);
  if (into.byteLength < length) throw new WeightsError(source.name, `a read of ${length} bytes was given room for ${into.byteLength}; pass a larger buffer`);
  return into.subarray(0, length);
}

/** A source that holds nothing open. `bytesOf` gives the bytes from `start` to before `end`. */
function sourceOf(name: string, size: number, bytesOf: (start: number, end: number) => Promise<Uint8Array> | Uint8Array): ByteSource {
  const source = {
    name,
    size,
    async read(offset: number, length: number, into?: Uint8Array) {
      const target = readTarget(source, offset, length, into);
      target.set(await bytesOf(offset, offset + length));
      return target;
    },
    async close() {},
  };
  return source;
}

/** Bytes in memory as a source. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return sourceOf(name, bytes.byteLength, (start, end) => bytes.subarray(start, end));
}

/** A Blob or a File that the user chose as a source; its bytes stay where the browser keeps them. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return sourceOf(name, blob.size, async (start, end) => {
    const bytes = await blob.slice(start, end).arrayBuffer().catch((cause: unknown) => {
      throw new WeightsError(name, "the file can no longer be read; choose it again", { cause });
    });
    return new Uint8Array(bytes);
  });
}

/** Files by relative path, in memory or chosen in a browser, as a folder. */
export function fileFolder(name: string, files: ReadonlyMap<string, Uint8Array | Blob>): FolderSource {
  return {
    name,
    async open(path) {
      const file = files.get(path);
      if (file === undefined) throw new WeightsError(`${name}/${path}`, "the file is missing; add it to the folder");
      return file instanceof Uint8Array ? memorySource(`${name}/${path}`, file) : blobSource(`${name}/${path}`, file);
    },
    async has(path) {
      return files.has(path);
    },
    async list(directory) {
      const start = directory === "" ? "" : `${directory}/`;
      return [...files.keys()].flatMap((path) => (path.startsWith(start) && !path.slice(start.length).includes("/") ? path.slice(start.length) : [])).sort();
    },
  };
}

/** Largest text file that is read whole: configurations, vocabularies, indices. */
const MAX_TEXT_BYTES = 100_000_000;

/** Reads a UTF-8 file of a folder whole. @throws WeightsError where it is missing, over 100 MB or not UTF-8 */
export async function readText(folder: FolderSource, path: string): Promise<string> {
  const source = await folder.open(path);
  try {
    if (source.size > MAX_TEXT_BYTES) throw new WeightsError(source.name, `${source.size} bytes are too many for a text file (at most ${MAX_TEXT_BYTES})`);
    return decodeUtf8(source.name, await source.read(0, source.size));
  } finally {
    await source.close();
  }
}

/** Reads a JSON file of a folder. @throws WeightsError where it is missing or not JSON */
export async function readJson(folder: FolderSource, path: string): Promise<unknown> {
  return parseJson(`${folder.name}/${path}`, await readText(folder, path));
}

/** @throws WeightsError where the text of a file is not JSON */
export function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WeightsError(name, `is not JSON (${(cause as Error).message}); get the file again`, { cause });
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws WeightsError where the bytes of a file are not UTF-8 */
export function decodeUtf8(name: string, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new WeightsError(name, "holds text that is not UTF-8; get the file again", { cause });
  }
}
