import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder of the peers' own package.json. */
export const peersFolder = import.meta.dirname;

/** Version of an installed peer. */
export function versionOf(name: string): string {
  return JSON.parse(readFileSync(join(peersFolder, "node_modules", name, "package.json"), "utf8")).version;
}

/** Whether all peers are installed in the versions that the lock file names. */
export function peersAreInstalled(): boolean {
  const lock: { packages: Record<string, { version?: string; optional?: boolean }> } = JSON.parse(readFileSync(join(peersFolder, "package-lock.json"), "utf8"));
  return Object.entries(lock.packages).every(([path, { version, optional }]) => {
    const file = join(peersFolder, path, "package.json");
    return path === "" || optional || (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === version);
  });
}
