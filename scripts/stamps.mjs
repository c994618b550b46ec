// @ts-check
/** How the set-up knows that a step is done. Stamps are written last and whole, so an interrupted step runs again. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Writes a file so that a reader finds the old text or the new one, never a part.
 * @param {string} path
 * @param {string} text
 */
export function writeWhole(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, text);
  renameSync(partial, path);
}

/** @typedef {{ packages: Record<string, { version?: string, optional?: boolean }> }} Lock */

/**
 * Whether the installed packages are those of the lock file. npm writes its own list of what it installed
 * (node_modules/.package-lock.json) after all else, so that list is the stamp.
 * @param {Lock} wanted package-lock.json
 * @param {Lock | undefined} installed
 */
export function packagesMatch(wanted, installed) {
  return Object.entries(wanted.packages).every(([path, { version, optional }]) => {
    const present = installed?.packages[path];
    return path === "" || (present ? present.version === version : optional === true);
  });
}

/**
 * A digest of the names, sizes and times of change of all files below some paths (folders or files).
 * @param {string} root
 * @param {string[]} paths relative to root
 * @param {string[]} [skipped] folders left out, relative to root
 * @returns {string}
 */
export function fingerprint(root, paths, skipped = []) {
  const hash = createHash("sha256");
  for (const path of paths.flatMap((start) => filesBelow(root, start, skipped))) {
    const { size, mtimeMs } = statSync(join(root, path));
    hash.update(`${path}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

/**
 * All files below a folder (or the file itself), sorted, relative to root; none where the path does not exist.
 * @param {string} root
 * @param {string} path
 * @param {string[]} [skipped]
 * @returns {string[]}
 */
export function filesBelow(root, path, skipped = []) {
  const entry = statSync(join(root, path), { throwIfNoEntry: false });
  if (!entry || skipped.includes(path)) return [];
  if (!entry.isDirectory()) return [path];
  return readdirSync(join(root, path)).sort().flatMap((name) => filesBelow(root, `${path}/${name}`, skipped));
}

/**
 * @param {string} path
 * @returns {any} the file's JSON, undefined where it is absent
 */
export function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}
