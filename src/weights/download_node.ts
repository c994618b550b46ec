import { createHash, type Hash } from "node:crypto";
import { open, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeightsError } from "../errors.ts";
import { makeFolders, onDisk, renameDurably } from "./atomic_file_node.ts";
import { bodyChunks, contentRange, endsAt, isTransient, rangeHeader } from "./http_range.ts";
import { networkReason } from "./http_source.ts";
import { hubStatusFact, sha256Of } from "./hub.ts";

/** How a file is fetched and what it must be. */
export interface DownloadOptions {
  /** Sent as a bearer token to the first host only, never along a redirect to another. */
  readonly token?: string;
  /** Bytes that the file must have; what the server says where it is absent. */
  readonly size?: number;
  /** SHA-256 in hexadecimal that the file must have; the `x-linked-etag` header's where it is absent. */
  readonly sha256?: string;
  /** Called as bytes arrive, those of an earlier run included. */
  readonly onBytes?: (done: number, total: number | undefined) => void;
  /** Stops the download; what arrived is kept for the next run. */
  readonly signal?: AbortSignal;
  /** Milliseconds before the first repetition; each further one waits twice as long. */
  readonly retryDelay?: number;
}

/** Attempts in a row that may fail without coming further than any before. */
const MAX_FAILURES = 4;
const MAX_REDIRECTS = 5;

/** A failure that may pass: a cut connection, a busy server. */
class TransientError extends Error {}

/** What has arrived of a file. */
interface Part {
  readonly handle: FileHandle;
  readonly path: string;
  done: number;
  hash: Hash;
  size: number | undefined;
  sha256: string | undefined;
}

/**
 * Downloads a file. The bytes go to `<path>.part`, from where an interrupted download goes on; only a complete file
 * whose size and, where known, SHA-256 are right gets its name.
 * @throws WeightsError where the server does not deliver it, InputError where it cannot be written, the signal's reason
 */
export async function downloadFile(url: string, path: string, options: DownloadOptions = {}): Promise<void> {
  await makeFolders(dirname(path));
  const part = await openPart(`${path}.part`, options);
  try {
    await receiveAll(url, part, options);
    await checkContents(url, part);
    await onDisk(part.path, part.handle.sync());
  } catch (error) {
    if (part.done === 0) await rm(part.path, { force: true });
    throw error;
  } finally {
    await part.handle.close();
  }
  await renameDurably(part.path, path);
}

async function openPart(path: string, { size, sha256 }: DownloadOptions): Promise<Part> {
  const handle = await onDisk(path, open(path, "a+"));
  const part: Part = { handle, path, done: 0, hash: createHash("sha256"), size, sha256: sha256?.toLowerCase() };
  const buffer = new Uint8Array(2 ** 20);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, part.done);
    if (bytesRead === 0) return part;
    part.hash.update(buffer.subarray(0, bytesRead));
    part.done += bytesRead;
  }
}

async function restart(part: Part): Promise<void> {
  await onDisk(part.path, part.handle.truncate(0));
  part.done = 0;
  part.hash = createHash("sha256");
}

/** Repeats until the file is there; gives up after several attempts that came no further. */
async function receiveAll(url: string, part: Part, options: DownloadOptions): Promise<void> {
  const { retryDelay = 500, signal } = options;
  if (part.size !== undefined && part.done > part.size) await restart(part);
  for (let failures = 0, furthest = part.done; part.done !== part.size; ) {
    try {
      return await receive(url, part, options);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      failures = part.done > furthest ? 1 : failures + 1;
      furthest = Math.max(furthest, part.done);
      if (failures > MAX_FAILURES) {
        throw new WeightsError(url, `${error.message}, ${failures} times in a row; the ${part.done} bytes that arrived are kept, run the command again to go on`, { cause: error });
      }
      await delay(retryDelay * 2 ** (failures - 1), undefined, { signal });
    }
  }
}

/** One request, from the byte where the part ends. @throws TransientError where another request may help */
async function receive(url: string, part: Part, options: DownloadOptions): Promise<void> {
  const response = await request(url, part, options);
  try {
    if (await isComplete(url, part, response)) return;
    for await (const chunk of chunksOf(response)) {
      if (part.size !== undefined && part.done + chunk.byteLength > part.size) {
        throw await rejected(url, part, `the server sends more than the ${part.size} bytes of the file`);
      }
      await onDisk(part.path, part.handle.appendFile(chunk));
      part.hash.update(chunk);
      part.done += chunk.byteLength;
      options.onBytes?.(part.done, part.size);
    }
  } finally {
    await response.body?.cancel().catch(() => {});
  }
  if (part.size !== undefined && part.done < part.size) throw new TransientError(`the connection ended at byte ${part.done} of ${part.size}`);
}

/** Follows redirects, and learns size and checksum from the headers on the way. */
async function request(url: string, part: Part, { token, signal }: DownloadOptions): Promise<Response> {
  let address = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (part.done > 0) headers.range = rangeHeader(part.done);
    if (token && new URL(address).origin === new URL(url).origin) headers.authorization = `Bearer ${token}`;
    const response = await fetch(address, { headers, redirect: "manual", signal }).catch((cause: unknown) => {
      throw new TransientError(`the server cannot be reached (${networkReason(cause)})`, { cause });
    });
    part.sha256 ??= sha256Of(response.headers.get("x-linked-etag"));
    await agreeOnSize(url, part, response.headers.get("x-linked-size"));
    const location = response.headers.get("location");
    if (location === null || response.status < 300 || response.status > 399) return response;
    await response.body?.cancel();
    address = new URL(location, address).href;
  }
  throw new WeightsError(url, `the server redirects more than ${MAX_REDIRECTS} times; check --endpoint`);
}

/** Makes the part's end the place where the response's body begins; says whether nothing is left to come. */
async function isComplete(url: string, part: Part, response: Response): Promise<boolean> {
  const { status, headers } = response;
  if (status === 206) {
    const { start, total } = contentRange(url, headers);
    if (start !== part.done) throw new WeightsError(url, `the server sends bytes from ${start} where ${part.done} was asked for; use another endpoint`);
    await agreeOnSize(url, part, String(total));
  } else if (status === 200) {
    if (part.done > 0) await restart(part); // the server does not serve ranges: from the beginning
    await agreeOnSize(url, part, headers.get("content-length"));
  } else if (status === 416 && part.done > 0) {
    if (endsAt(response, part.done)) return true;
    await restart(part);
    throw new TransientError("the server's file is shorter than what had arrived");
  } else if (isTransient(status)) {
    throw new TransientError(`the server answered HTTP ${status}`);
  } else {
    throw new WeightsError(url, hubStatusFact(status));
  }
  return false;
}

async function agreeOnSize(url: string, part: Part, stated: string | null): Promise<void> {
  if (stated === null || !/^\d+$/.test(stated)) return;
  const size = Number(stated);
  part.size ??= size;
  if (part.size !== size) throw await rejected(url, part, `the server has ${size} bytes where ${part.size} are expected`);
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  try {
    yield* bodyChunks(response);
  } catch (cause) {
    throw new TransientError(`the connection was cut (${networkReason(cause)})`, { cause });
  }
}

async function checkContents(url: string, part: Part): Promise<void> {
  const digest = part.hash.digest("hex");
  if (part.sha256 !== undefined && part.sha256 !== digest) {
    throw await rejected(url, part, `the SHA-256 of what arrived is ${digest}, and ${part.sha256} is expected`);
  }
}

/** The error for contents that are wrong: they are removed, so that the next run begins anew. */
async function rejected(url: string, part: Part, fact: string): Promise<WeightsError> {
  await rm(part.path, { force: true });
  return new WeightsError(url, `${fact}; the download was discarded, run the command again or use another endpoint`);
}
