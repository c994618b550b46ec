import { readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { InputError } from "../errors.ts";
import { makeFolders, onDisk } from "../weights/atomic_file_node.ts";

/** Says who works in a run's folder. */
export const LOCK_FILE = "run.lock";

/** Milliseconds between two signs of life, and after which a process that gives none is taken for dead. */
const SIGN_INTERVAL = 5_000;
const SILENCE = 60_000;

/** Locks of this process. */
const held = new Set<string>();

interface Holder {
  readonly pid: number;
  readonly host: string;
}

/**
 * Keeps other processes from working in a folder until the function that it returns is called, or this process ends.
 * A lock is void when its process is gone, or has given no sign of life for a minute: its number may be another's by now.
 * @param work what is done there, in words
 * @throws InputError where another process works there
 */
export async function lockRun(folder: string, work = "trained"): Promise<() => Promise<void>> {
  await makeFolders(folder);
  const path = join(folder, LOCK_FILE);
  while (!(await take(path))) {
    const holder = await holderOf(path);
    if (holder) throw new InputError(folder, `is being ${work} in by ${holder}; wait for it or end it, or choose another --out`);
    await rm(path, { force: true });
  }
  held.add(path);
  const signs = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), SIGN_INTERVAL);
  signs.unref();
  return async () => {
    clearInterval(signs);
    held.delete(path);
    await rm(path, { force: true });
  };
}

/** Makes the lock; false where there is one. */
function take(path: string): Promise<boolean> {
  const self: Holder = { pid: process.pid, host: hostname() };
  const made = writeFile(path, JSON.stringify(self), { flag: "wx" }).then(() => true, (error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") return false;
    throw error;
  });
  return onDisk(path, made);
}

/** Who holds a lock, in words; undefined where it is void. */
async function holderOf(path: string): Promise<string | undefined> {
  const [text, sign] = await Promise.all([readFile(path, "utf8"), stat(path)]).catch(() => ["", undefined] as const);
  if (!sign || Date.now() - sign.mtimeMs > SILENCE) return undefined;
  if (text === "") return "another process"; // which is about to write who it is
  const { pid, host } = JSON.parse(text) as Holder;
  const isVoid = host === hostname() && !(pid === process.pid ? held.has(path) : isAlive(pid));
  return isVoid ? undefined : `process ${pid} on ${host}`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
