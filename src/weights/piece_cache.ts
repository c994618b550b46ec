import { type ByteSource, type FolderSource, readTarget } from "./byte_source.ts";

/** Where pieces of one file are kept between visits. */
export interface PieceStore {
  /** Reads piece `index` into `into`; false where it is not there whole and unchanged. */
  read(index: number, into: Uint8Array): Promise<boolean>;
  /** Keeps a piece. @throws where there is no room */
  write(index: number, piece: Uint8Array): Promise<void>;
  /** Releases the store; what was kept stays. */
  close(): void;
}

/** A file whose pieces are to be kept. */
export type KeptFile = Required<Pick<ByteSource, "name" | "size" | "version">>;

/** Opens the store of a file, and forgets other versions of it. @throws where nothing can be kept */
export type OpenPieceStore = (file: KeptFile) => Promise<PieceStore>;

/** Options of `cachedFolder`. */
export interface CacheOptions {
  /** Absent: nothing is kept. */
  openStore?: OpenPieceStore;
  /** Told once a file where it is not kept, and why. */
  onNote?: (note: string) => void;
}

/** Bytes of a piece: of one request, and of one write. */
export const PIECE_BYTES = 8 * 2 ** 20;
/** Pieces in memory at a time: tensors are not read in the order of the file. */
const IN_MEMORY = 3;

/**
 * A folder whose large files are fetched in pieces of 8 MiB, each kept as soon as it is there: a model that was loaded once
 * comes from the store, and one whose loading was cut off goes on where it was. Files without a version are not kept, since
 * nothing would tell that they changed.
 */
export function cachedFolder(folder: FolderSource, options: CacheOptions = {}): FolderSource {
  return {
    ...folder,
    async open(path) {
      const source = await folder.open(path);
      return isLarge(path) ? pieceSource(source, options) : source;
    },
  };
}

const isLarge = (path: string) => /\.(safetensors|bin|ckpt|pt|pth)$/.test(path);

async function pieceSource(source: ByteSource, { openStore, onNote }: CacheOptions): Promise<ByteSource> {
  const { name, size, version } = source;
  let store: PieceStore | undefined;
  const goWithout = (error: unknown) => {
    onNote?.(`${name} is not kept, and will be fetched again the next time: ${(error as Error).message}`);
    store?.close();
    store = undefined;
  };
  if (openStore && version !== undefined) {
    await openStore({ name, size, version }).then((opened) => { store = opened; }, goWithout);
  }
  const pieces = new Map<number, Promise<Uint8Array>>();

  const load = async (index: number): Promise<Uint8Array> => {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, size - index * PIECE_BYTES));
    if (await store?.read(index, piece)) return piece;
    await source.read(index * PIECE_BYTES, piece.length, piece);
    await store?.write(index, piece).catch(goWithout);
    return piece;
  };
  const pieceAt = (index: number): Promise<Uint8Array> => {
    const piece = pieces.get(index) ?? load(index);
    pieces.delete(index);
    pieces.set(index, piece); // the newest is last
    piece.catch(() => pieces.delete(index));
    if (pieces.size > IN_MEMORY) pieces.delete(pieces.keys().next().value as number);
    return piece;
  };
  return {
    name, size, version,
    async read(offset, length, into) {
      const target = readTarget(source, offset, length, into);
      for (let done = 0; done < length; ) {
        const at = offset + done;
        const index = Math.floor(at / PIECE_BYTES);
        const part = (await pieceAt(index)).subarray(at - index * PIECE_BYTES, at - index * PIECE_BYTES + length - done);
        target.set(part, done);
        done += part.length;
      }
      return target;
    },
    async close() {
      store?.close();
      store = undefined;
      pieces.clear();
      await source.close();
    },
  };
}
