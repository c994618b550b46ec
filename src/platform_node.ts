import { createHash } from "node:crypto";
import { decodeFilm } from "./data/decode_node.ts";
import type { Platform } from "./platform.ts";
import { openFolder } from "./weights/byte_source_node.ts";
import { openUrlFolder } from "./weights/http_source.ts";

/** Node's files and hashes. */
export const nodePlatform: Platform = {
  openFolder: (location) => (/^https?:\/\//.test(location) ? openUrlFolder(location) : openFolder(location)),
  createHasher: () => {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
  },
  decodeFilm,
};
