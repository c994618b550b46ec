import { WeightsError } from "../errors.ts";

/** What is wrong and what to do, for an HTTP status that is no success. */
export function statusFact(status: number): string {
  if (status === 401 || status === 403) return `the server refuses access (HTTP ${status}); give a token that may read it`;
  if (status === 404) return "the server has no such file (HTTP 404); check the address";
  if (status === 416) return "the server's file is shorter than expected (HTTP 416); it changed, start again";
  return `the server answered HTTP ${status}; try again later`;
}

/** Whether a request that got this status may succeed when it is repeated. */
export function isTransient(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** Value of a `Range` header: `length` bytes from `start`, or all from there on. */
export function rangeHeader(start: number, length?: number): string {
  return length === undefined ? `bytes=${start}-` : `bytes=${start}-${start + length - 1}`;
}

/** First byte and total size that a 206 response states. @throws WeightsError where it does not */
export function contentRange(name: string, headers: Headers): { start: number; total: number } {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("content-range") ?? "");
  if (match === null) throw new WeightsError(name, "the server does not show Content-Range; let it expose that header");
  return { start: Number(match[1]), total: Number(match[2]) };
}

/** Whether a response says that a file of `size` bytes has nothing behind them (HTTP 416). */
export function endsAt(response: Response, size: number): boolean {
  return response.status === 416 && response.headers.get("content-range") === `bytes */${size}`;
}

/** Yields the pieces of a response's body, and gives the connection up where the consumer stops early. */
export async function* bodyChunks(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
