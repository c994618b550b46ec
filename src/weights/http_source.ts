import { concatenate } from "../bytes.ts";
import { WeightsError } from "../errors.ts";
import { memorySource, readTarget, type ByteSource, type FolderSource } from "./byte_source.ts";
import { bodyChunks, contentRange, endsAt, rangeHeader, statusFact } from "./http_range.ts";

/** Headers of every request, for example an authorization. */
export interface HttpOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

/** Largest file that is kept in memory where a server does not serve ranges. */
const MAX_WHOLE_BYTES = 64 * 2 ** 20;
/** Times that one read goes on after its connection was cut. */
const MAX_CUTS = 3;

/**
 * Opens a file on an HTTP server; reads are range requests, and a read whose connection is cut goes on at its byte.
 * From a server without ranges, files up to 64 MiB are read whole and kept in memory; larger ones are refused.
 * @throws WeightsError where the file cannot be had
 */
export async function openUrl(url: string, options: HttpOptions = {}): Promise<ByteSource> {
  const response = await request(url, options, rangeHeader(0, 1));
  try {
    // The only range of an empty file that can be asked for is refused.
    if (endsAt(response, 0)) return memorySource(url, new Uint8Array(0));
    if (response.status === 200) return memorySource(url, await readWhole(url, response));
    if (response.status !== 206) throw new WeightsError(url, statusFact(response.status));
    const version = response.headers.get("etag") ?? response.headers.get("last-modified") ?? undefined;
    return rangeSource(url, { size: contentRange(url, response.headers).total, version }, options);
  } finally {
    await response.body?.cancel().catch(() => {});
  }
}

/** A folder on an HTTP server; in a browser `url` may be relative to the page. */
export function openUrlFolder(url: string, options: HttpOptions = {}): FolderSource {
  const name = url.replace(/\/$/, "");
  const address = (path: string) => `${name}/${path.split("/").map(encodeURIComponent).join("/")}`;
  return {
    name,
    open: (path) => openUrl(address(path), options),
    async has(path) {
      const response = await request(address(path), options, rangeHeader(0, 1));
      await response.body?.cancel().catch(() => {});
      if (response.ok || response.status === 416) return true;
      if (response.status === 404) return false;
      throw new WeightsError(address(path), statusFact(response.status));
    },
  };
}

function rangeSource(url: string, { size, version }: Pick<ByteSource, "size" | "version">, options: HttpOptions): ByteSource {
  const source = {
    name: url,
    size,
    version,
    async read(offset: number, length: number, into?: Uint8Array) {
      const target = readTarget(source, offset, length, into);
      let done = 0;
      for (let cuts = 0; done < length; cuts++) {
        if (cuts > MAX_CUTS) throw new WeightsError(url, `the connection was cut ${cuts} times at byte ${offset + done}; try again later`);
        done += await readRange(url, size, offset + done, target.subarray(done), options);
      }
      return target;
    },
    async close() {},
  };
  return source;
}

/** Fills `target` from byte `offset` as far as the connection lasts. @returns bytes filled */
async function readRange(url: string, size: number, offset: number, target: Uint8Array, options: HttpOptions): Promise<number> {
  const response = await request(url, options, rangeHeader(offset, target.byteLength));
  let done = 0;
  try {
    if (response.status !== 206) {
      throw new WeightsError(url, response.ok ? "the server stopped serving ranges; try again later" : statusFact(response.status));
    }
    const { start, total } = contentRange(url, response.headers);
    if (total !== size) throw new WeightsError(url, `the file changed on the server from ${size} to ${total} bytes; load it again`);
    if (start !== offset) throw new WeightsError(url, `the server sent bytes from ${start} where ${offset} was asked for; use a server that serves ranges`);
    for await (const chunk of bodyChunks(response)) {
      if (chunk.byteLength > target.byteLength - done) throw new WeightsError(url, `the server sent more than the ${target.byteLength} bytes asked for; use a server that serves ranges`);
      target.set(chunk, done);
      done += chunk.byteLength;
    }
  } catch (error) {
    if (error instanceof WeightsError) throw error; // anything else is a cut connection
  } finally {
    await response.body?.cancel().catch(() => {});
  }
  return done;
}

async function readWhole(url: string, response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of bodyChunks(response)) {
      size += chunk.byteLength;
      if (size > MAX_WHOLE_BYTES) {
        throw new WeightsError(url, `the server does not serve ranges and the file has more than ${MAX_WHOLE_BYTES} bytes; use a server that does`);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof WeightsError) throw cause;
    throw new WeightsError(url, `the connection was cut at byte ${size}; try again`, { cause });
  }
  return concatenate(chunks);
}

async function request(url: string, options: HttpOptions, range: string): Promise<Response> {
  return fetch(url, { headers: { ...options.headers, range } }).catch((cause: unknown) => {
    const foreign = isOfAnotherSite(url) ? ", and whether that server lets pages of other sites read its files (CORS)" : "";
    throw new WeightsError(url, `the server cannot be reached (${networkReason(cause)}); check the address${foreign}`, { cause });
  });
}

/** Whether a browser asks a server that the page does not come from: it does not say that it was refused for that. */
function isOfAnotherSite(url: string): boolean {
  return globalThis.location !== undefined && new URL(url).origin !== globalThis.location.origin;
}

/** What `fetch` says about a failed connection; the useful part is in the cause. */
export function networkReason(error: unknown): string {
  const { message, cause } = error as Error & { cause?: Error };
  return cause?.message || message;
}
