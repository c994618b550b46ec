import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Absolute path of a file or folder of the shared material beside the repository, or undefined where it is absent. */
export function sharedPath(relative: string): string | undefined {
  const path = fileURLToPath(new URL(`../../shared/${relative}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}

/** Options for a test that needs shared material: skips with a message where it is absent. */
export function needsShared(relative: string): { skip: string | false } {
  return { skip: sharedPath(relative) === undefined ? `../shared/${relative} is absent` : false };
}
