import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { decodeFilm } from "./data/decode_browser.ts";
import type { Platform } from "./platform.ts";
import { openUrlFolder } from "./weights/http_source.ts";

/** The requests of a page or of its worker, and a hash that takes its input in pieces, which Web Crypto does not. */
export const browserPlatform: Platform = {
  openFolder: (location) => openUrlFolder(new URL(location, globalThis.document?.baseURI ?? globalThis.location.href).href),
  createHasher: () => {
    const hash = sha256.create();
    return { update: (bytes) => void hash.update(bytes), hex: () => bytesToHex(hash.digest()) };
  },
  decodeFilm,
};
