import { randomUUID } from "node:crypto";
import { type FileHandle, open, readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { InputError } from "../errors.ts";
import { makeFolders, onDisk } from "../weights/atomic_file_node.ts";

/** Says who works in a run's folder. */
export const LOCK_FILE = "run.lock";

/** Milliseconds between two signs of life, and after which a process on another computer that gives none is taken for dead. */
const SIGN_INTERVAL = 5_000;
const SILENCE = 60_000;

/** Tokens of the locks that this process has or is about to take. */
const held = new Set<string>();

/** What a lock says. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Tells this lock from any other, of the same process too. */
  readonly token: string;
}

/** A lock as it stands on the disk. */
interface FoundLock {
  readonly text: string;
  /** Undefined where the text is no whole one. */
  readonly holder: Holder | undefined;
  /** Milliseconds since its last sign of life. */
  readonly silence: number;
}

/**
 * Keeps other processes from working in a folder until the function that it returns is called, or this process ends.
 * A lock is void when its process, on this computer, is gone; on another, when it has given no sign of life for a minute.
 * @param work what is done there, in words
 * @param onLost called once where another process took the lock nevertheless: nothing may be written there any more
 * @throws InputError where another process works there
 */
export async function lockRun(folder: string, work = "trained", onLost: (error: InputError) => void = () => undefined): Promise<() => Promise<void>> {
  await makeFolders(folder);
  const path = join(folder, LOCK_FILE);
  const self = { pid: process.pid, host: hostname(), token: randomUUID() };
  const { token } = self;
  held.add(token);
  try {
    while (!(await take(path, self))) {
      const found = await readLock(path);
      const holder = found && nameOf(found);
      if (holder) throw new InputError(folder, `is being ${work} in by ${holder}; wait for it or end it, or choose another --out (where there is no such run, remove ${LOCK_FILE})`);
      if (found) await removeVoid(path, self);
    }
  } catch (error) {
    held.delete(token);
    throw error;
  }
  const isOurs = async () => (await readLock(path))?.holder?.token === token;
  const sign = async () => {
    const isLost = !(await isOurs());
    if (!held.has(token)) return; // released meanwhile
    if (!isLost) return utimes(path, new Date(), new Date());
    clearInterval(signs);
    onLost(new InputError(folder, `was taken by another process, since this one had stopped for long; look at ${LOCK_FILE} and go on with one of them`));
  };
  // A disk that does not answer for a moment is asked again.
  const signs = setInterval(() => void sign().catch(() => undefined), SIGN_INTERVAL);
  signs.unref();
  return async () => {
    clearInterval(signs);
    held.delete(token);
    if (await isOurs().catch(() => false)) await rm(path, { force: true });
  };
}

/** Who works in a folder, in words; undefined where nobody does. Nothing is written there. */
export async function findWorker(folder: string): Promise<string | undefined> {
  const found = await readLock(join(folder, LOCK_FILE));
  return found && nameOf(found);
}

/** Makes the lock; false where there is one. */
async function take(path: string, self: Holder): Promise<boolean> {
  const opened = open(path, "wx").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") return undefined;
    throw error;
  });
  const file: FileHandle | undefined = await onDisk(path, opened);
  if (!file) return false;
  try {
    await onDisk(path, file.writeFile(JSON.stringify(self)));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return true;
}

/** The lock that stands there; undefined where there is none. */
async function readLock(path: string): Promise<FoundLock | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    return { text, holder: parseHolder(text), silence: Date.now() - mtimeMs };
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return undefined;
    throw new InputError(path, `cannot be read (${cause.code}); make it readable, or choose another --out`, { cause });
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder | null;
    return typeof holder?.pid === "number" && typeof holder.host === "string" ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** Who holds a lock, in words; undefined where it is void. */
function nameOf({ holder, silence }: FoundLock): string | undefined {
  if (!holder) return silence > SILENCE ? undefined : "another process"; // which is about to write who it is
  const { pid, host, token } = holder;
  const lives = host !== hostname() ? silence <= SILENCE : pid === process.pid ? held.has(token) : isAlive(pid);
  return lives ? `process ${pid} on ${host}` : undefined;
}

/** Removes a void lock, under a lock of its own: of two that found it so, one may have made its new one already. */
async function removeVoid(path: string, self: Holder): Promise<void> {
  const guard = `${path}.takeover`;
  if (!(await take(guard, self))) {
    const other = await readLock(guard);
    if (other && !nameOf(other)) await rm(guard, { force: true }); // its process ended in the midst of this
    else await setTimeout(10);
    return;
  }
  try {
    const found = await readLock(path);
    if (found && !nameOf(found)) await onDisk(path, rm(path, { force: true }));
  } finally {
    await rm(guard, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
