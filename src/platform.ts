import type { Film } from "./data/film.ts";
import type { FolderSource } from "./weights/byte_source.ts";

/** An incremental SHA-256. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The digest as 64 hexadecimal digits; ends the hasher. */
  hex(): string;
}

/** What differs between Node and browsers; each door (node.ts, browser.ts) brings its own. */
export interface Platform {
  /** A folder by path or URL. */
  openFolder(location: string): FolderSource;
  createHasher(): Hasher;
  /** Decodes the bytes of a PNG, JPEG or DICOM file; throws InputError naming `name`. */
  decodeFilm(bytes: Uint8Array, name: string): Promise<Film>;
}

/** SHA-256 of bytes in memory. */
export function sha256(platform: Platform, bytes: Uint8Array): string {
  const hasher = platform.createHasher();
  hasher.update(bytes);
  return hasher.hex();
}
