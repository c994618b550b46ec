import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("..", import.meta.url));

/** The shipped films. */
export const samples = join(repository, "weights", "phantom", "samples");

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "attnscope-cli-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What a command left behind. */
export interface Outcome {
  code: number | null;
  stdout: string;
  /** Without the lines that Dawn's native code prints when it looks for an adapter. */
  stderr: string;
}

/** Mesa keeps compiled shaders in the user's cache too: there they stay, since compiling takes far longer than the tests. */
const userCache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");

/**
 * Runs the command line from source in a process of its own.
 * @param options.cache stands in for the user's cache folder
 * @param options.interruptAt once this stands on stderr, or is so, the process gets a SIGINT
 */
export async function runCli(args: readonly string[], options: { cache: string; env?: NodeJS.ProcessEnv; interruptAt?: string | (() => boolean) }): Promise<Outcome> {
  const child = spawn(process.execPath, ["--import", "tsx", "src/cli/main.ts", ...args], {
    cwd: repository,
    env: { MESA_SHADER_CACHE_DIR: userCache, ...process.env, XDG_CACHE_HOME: options.cache, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => { stdout += chunk; });
  const { interruptAt } = options;
  child.stderr.on("data", (chunk) => { stderr += chunk; });
  const isDue = typeof interruptAt === "function" ? interruptAt : () => interruptAt !== undefined && stderr.includes(interruptAt);
  const watch = setInterval(() => {
    if (!isDue()) return;
    clearInterval(watch); // a second signal would end the process at once
    child.kill("SIGINT");
  }, 20);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(watch);
  return { code, stdout, stderr: stderr.replace(/^Warning: maxDynamic.*\n/gm, "") };
}
