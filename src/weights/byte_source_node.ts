import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { WeightsError } from "../errors.ts";
import { readTarget, type ByteSource, type FolderSource } from "./byte_source.ts";

/** Opens a file of the file system; nothing of it is kept in memory. @throws WeightsError where it is missing, not a file or not readable */
export async function openFile(path: string): Promise<ByteSource> {
  const fail = (cause: NodeJS.ErrnoException) => {
    throw new WeightsError(path, openFact(cause), { cause });
  };
  const stats = await stat(path).catch(fail);
  if (!stats.isFile()) throw new WeightsError(path, "is not a file; name one"); // opening a pipe would wait for ever
  const { size } = stats;
  const handle = await open(path, "r").catch(fail);
  const source = {
    name: path,
    size,
    async read(offset: number, length: number, into?: Uint8Array) {
      const target = readTarget(source, offset, length, into);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(target, done, length - done, offset + done).catch((cause: unknown) => {
          throw new WeightsError(path, `cannot be read at byte ${offset + done} (${(cause as Error).message})`, { cause });
        });
        if (bytesRead === 0) throw new WeightsError(path, `ended at byte ${offset + done} of ${size} while it was read; something is writing to it, try again`);
        done += bytesRead;
      }
      return target;
    },
    close: () => handle.close(),
  };
  return source;
}

/** A folder of the file system. */
export function openFolder(path: string): FolderSource {
  return {
    name: path,
    open: (relative) => openFile(join(path, relative)),
    async has(relative) {
      return stat(join(path, relative)).then((stats) => stats.isFile(), () => false);
    },
    async list(directory) {
      return readdir(join(path, directory)).then((names) => names.sort(), () => []);
    },
  };
}

function openFact(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return "no such file; check the path";
  if (error.code === "EACCES" || error.code === "EPERM") return "may not be read; check its permissions";
  return `cannot be opened (${error.code ?? error.message})`;
}
