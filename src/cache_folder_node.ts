import { homedir } from "node:os";
import { join } from "node:path";

/** attnscope's folder in the user's cache. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "attnscope");
}
