import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** The browser bundle that `npm run build` makes. */
export const browserDist = fileURLToPath(new URL("../../dist/browser/", import.meta.url));

/** Options for a test that needs the bundle: skips with a message where it was not built. */
export const needsBuild = { skip: existsSync(join(browserDist, "index.js")) ? false : "dist/browser is absent: npm run build" };

/** A script of the bundle and all scripts that it imports statically, directly or not. */
export function loadedWith(script: string, found = new Set<string>()): Set<string> {
  if (found.has(script)) return found;
  found.add(script);
  for (const [, path] of readFileSync(script, "utf8").matchAll(/\b(?:from|import)"(\.[^"]+)"/g)) loadedWith(join(dirname(script), path), found);
  return found;
}

/** Bytes of files after gzip, as a server sends them. */
export function gzipBytes(files: Iterable<string>): number {
  let bytes = 0;
  for (const file of files) bytes += gzipSync(readFileSync(file), { level: 9 }).length;
  return bytes;
}
