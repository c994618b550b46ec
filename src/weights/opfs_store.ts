import { type OpenPieceStore, PIECE_BYTES, type PieceStore } from "./piece_cache.ts";

/** Folder of the origin's private file system. */
const FOLDER = "attnscope-weights";
const DIGEST_BYTES = 32;

/**
 * Keeps pieces in the origin's private file system: one file with the pieces in place, one with their SHA-256 sums, each
 * written when its piece is. A piece whose sum does not fit is as good as absent. Works in dedicated workers only; a file
 * that another tab is using cannot be opened.
 */
export const openOpfsStore: OpenPieceStore = async ({ name, size, version }) => {
  return sayingWhy(size, async () => {
    const root = await navigator.storage.getDirectory();
    const versions = await (await root.getDirectoryHandle(FOLDER, { create: true })).getDirectoryHandle(await hexDigest(name), { create: true });
    const present = await hexDigest(`${size} ${version}`);
    for await (const other of versions.keys()) if (other !== present) await versions.removeEntry(other, { recursive: true });
    const [data, sums] = await openBoth(await versions.getDirectoryHandle(present, { create: true }));
    return opfsStore(data, sums, size);
  });
};

/** Does work on the file system, whose own errors say little. @throws Error in a sentence */
async function sayingWhy<R>(size: number, work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (cause) {
    const { name, message } = cause as Error;
    if (name === "QuotaExceededError") {
      throw new Error(`this browser gives the site too little room (the file has ${Math.ceil(size / 1e6)} MB); free some disk space, or remove other data of this site`, { cause });
    }
    throw new Error(name === "NoModificationAllowedError" ? "another tab of this site is using it" : message, { cause });
  }
}

/** What workers have of the File System API; TypeScript's types of pages lack it. */
interface SyncAccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  flush(): void;
  close(): void;
}

async function openBoth(folder: FileSystemDirectoryHandle): Promise<SyncAccessHandle[]> {
  const open = async (name: string) => {
    const file = (await folder.getFileHandle(name, { create: true })) as FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccessHandle> };
    return file.createSyncAccessHandle();
  };
  const data = await open("data");
  try {
    return [data, await open("sums")];
  } catch (error) {
    data.close();
    throw error;
  }
}

function opfsStore(data: SyncAccessHandle, sums: SyncAccessHandle, size: number): PieceStore {
  return {
    async read(index, into) {
      const kept = new Uint8Array(DIGEST_BYTES);
      if (sums.read(kept, { at: index * DIGEST_BYTES }) < DIGEST_BYTES || kept.every((byte) => byte === 0)) return false;
      if (data.read(into, { at: index * PIECE_BYTES }) < into.length) return false;
      const digest = await sha256(into);
      return kept.every((byte, i) => byte === digest[i]);
    },
    write: (index, piece) => sayingWhy(size, async () => {
      const digest = await sha256(piece);
      writeWhole(data, piece, index * PIECE_BYTES);
      writeWhole(sums, digest, index * DIGEST_BYTES);
    }),
    close() {
      data.close();
      sums.close();
    },
  };
}

function writeWhole(file: SyncAccessHandle, bytes: Uint8Array, at: number): void {
  // Chromium gives its own error code, as an unsigned number, where there is no room.
  if (file.write(bytes, { at }) !== bytes.length) throw new DOMException("only a part was written", "QuotaExceededError");
  file.flush();
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

async function hexDigest(text: string): Promise<string> {
  const digest = await sha256(new TextEncoder().encode(text));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
