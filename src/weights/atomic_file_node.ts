import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { InputError } from "../errors.ts";
import { writeSafetensors, type ByteSink, type TensorOutput } from "./safetensors_writer.ts";

/**
 * Writes a file so that it appears under its name only when it is complete and on the disk:
 * under a temporary name beside it, then fsync, then rename. On an error the temporary file is removed.
 * @throws InputError where the folder cannot be written; whatever `write` throws
 */
export async function writeFileAtomically(path: string, write: (sink: ByteSink) => Promise<void>): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await makeFolders(dirname(path));
  const handle = await onDisk(path, open(temporary, "w"));
  try {
    await write({
      async write(bytes) {
        for (let done = 0; done < bytes.byteLength; ) {
          done += (await onDisk(path, handle.write(bytes, done))).bytesWritten;
        }
      },
    });
    await onDisk(path, handle.sync());
    await handle.close();
    await renameDurably(temporary, path);
  } catch (error) {
    await handle.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes a safetensors file; see `writeSafetensors` and `writeFileAtomically`. */
export async function writeSafetensorsFile(path: string, tensors: Iterable<TensorOutput>, metadata: Readonly<Record<string, string>> = {}): Promise<void> {
  await writeFileAtomically(path, (sink) => writeSafetensors(sink, tensors, metadata));
}

/**
 * Writes a folder so that no half of it is ever seen under its name: `write` fills one under a temporary name beside it,
 * which then takes the place of what was there. On an error the temporary folder is removed, and what was there stays.
 * @throws InputError where it cannot be written; whatever `write` throws
 */
export async function writeFolderAtomically(path: string, write: (folder: string) => Promise<void>): Promise<void> {
  const fresh = `${resolve(path)}.${process.pid}.tmp`;
  await makeFolders(dirname(fresh));
  await onDisk(path, mkdir(fresh));
  try {
    await write(fresh);
    await replaceFolder(fresh, resolve(path));
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Puts a folder in the place of another, if there is one, which comes back where that fails.
 * @throws InputError where it cannot
 */
export async function replaceFolder(fresh: string, path: string): Promise<void> {
  const old = `${path}.${process.pid}.old.tmp`;
  const isThere = await onDisk(path, rename(path, old).then(() => true, (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return false;
    throw error;
  }));
  try {
    await renameDurably(fresh, path);
  } catch (error) {
    if (isThere) await rename(old, path);
    throw error;
  }
  await onDisk(old, rm(old, { recursive: true, force: true }));
}

/**
 * Makes a folder with its parents. Returns those that it made, the outermost first. (mkdir with `recursive` never comes
 * back from a file system that refuses new folders with ENOENT, such as /proc.)
 * @throws InputError where it cannot be made
 */
export async function makeFolders(path: string): Promise<string[]> {
  const failure = await mkdir(path).then(() => undefined, (error: NodeJS.ErrnoException) => error);
  if (!failure) return [path];
  if (failure.code === "ENOENT" && dirname(path) !== path) {
    const made = await makeFolders(dirname(path));
    await onDisk(path, mkdir(path));
    return [...made, path];
  }
  const isFolder = await stat(path).then((stats) => stats.isDirectory(), () => false);
  if (isFolder) return [];
  if (failure.code === "EEXIST") throw new InputError(path, "is a file, not a folder; choose another place", { cause: failure });
  return onDisk(path, Promise.reject(failure));
}

/** Renames a file whose contents are on the disk, and puts the new name there too. @throws InputError where it cannot */
export async function renameDurably(from: string, to: string): Promise<void> {
  await onDisk(to, rename(from, to));
  if (process.platform === "win32") return; // folders cannot be synced there
  const folder = await onDisk(to, open(dirname(to), "r"));
  await folder.sync().finally(() => folder.close());
}

/** The result of a file system call, whose failure becomes an InputError that says what to do. */
export function onDisk<T>(path: string, result: Promise<T>): Promise<T> {
  return result.catch((cause: NodeJS.ErrnoException) => {
    const advice = cause.code === "ENOSPC" ? "the disk is full; free some space" : "choose a place that can be written";
    throw new InputError(path, `cannot be written (${cause.code ?? cause.message}); ${advice}`, { cause });
  });
}
