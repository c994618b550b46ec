import { type OpenPieceStore, PIECE_BYTES, type PieceStore } from "./piece_cache.ts";

/** Folder of the origin's private file system. */
const FOLDER = "attnscope-weights";
const DIGEST_BYTES = 32;

/**
 * Keeps pieces in the origin's private file system: one file with the pieces in place, one with their SHA-256 sums, each
 * written when its piece is. A piece whose sum does not fit is as good as absent. Works in dedicated workers only; a file
 * that another tab is reading is not kept a second time.
 */
export const openOpfsStore: OpenPieceStore = async ({ name, size, version }) => {
  try {
    const root = await navigator.storage.getDirectory();
    const versions = await (await root.getDirectoryHandle(FOLDER, { create: true })).getDirectoryHandle(await hexDigest(name), { create: true });
    const present = await hexDigest(`${size} ${version}`);
    for await (const other of versions.keys()) if (other !== present) await versions.removeEntry(other, { recursive: true });
    const [data, sums] = await openBoth(await versions.getDirectoryHandle(present, { create: true }));
    return opfsStore(data, sums, size);
  } catch {
    return undefined; // no such file system here, or another tab has it
  }
};

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
    async write(index, piece) {
      const digest = await sha256(piece);
      writeWhole(data, piece, index * PIECE_BYTES, size);
      writeWhole(sums, digest, index * DIGEST_BYTES, size);
    },
    close() {
      data.close();
      sums.close();
    },
  };
}

/** @throws Error in a sentence where the browser gives no more room */
function writeWhole(file: SyncAccessHandle, bytes: Uint8Array, at: number, size: number): void {
  const full = `this browser gives the site too little room (the file has ${Math.ceil(size / 1e6)} MB); free some disk space, or remove other data of this site`;
  let written: number;
  try {
    written = file.write(bytes, { at });
  } catch (cause) {
    if ((cause as DOMException).name === "QuotaExceededError") throw new Error(full, { cause });
    throw cause;
  }
  if (written < bytes.length) throw new Error(full);
  file.flush();
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

async function hexDigest(text: string): Promise<string> {
  const digest = await sha256(new TextEncoder().encode(text));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
