import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** A local HTTP server for one test and what it was asked. */
export interface TestServer {
  /** Base URL, without a slash at the end. */
  readonly url: string;
  /** Each request as `path` or `path range`. */
  readonly requests: string[];
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Starts a server on 127.0.0.1 that stops with the test. */
export async function startServer(t: TestContext, handler: Handler): Promise<TestServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push([request.url, request.headers.range].filter((part) => part !== undefined).join(" "));
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** What a server does wrong with a file. */
export interface Misbehaviour {
  /** Cut the connection after so many bytes of a body. */
  readonly cutAfter?: number;
  readonly ignoreRange?: boolean;
  /** Shift the first byte of ranges. */
  readonly shift?: number;
  /** Headers besides those of the range. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers with a file, or the range of it that was asked for. */
export function sendFile(request: IncomingMessage, response: ServerResponse, file: Uint8Array, wrong: Misbehaviour = {}): void {
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = match === null || wrong.ignoreRange ? 0 : Number(match[1]) + (wrong.shift ?? 0);
  const end = match === null || wrong.ignoreRange || match[2] === "" ? file.byteLength : Math.min(file.byteLength, Number(match[2]) + 1);
  const isRange = match !== null && !wrong.ignoreRange;
  if (isRange && start >= file.byteLength) {
    response.writeHead(416, { "content-range": `bytes */${file.byteLength}` }).end();
    return;
  }
  const body = file.subarray(start, end);
  response.writeHead(isRange ? 206 : 200, {
    "content-length": body.byteLength,
    ...(isRange ? { "content-range": `bytes ${start}-${end - 1}/${file.byteLength}` } : {}),
    ...wrong.headers,
  });
  if (wrong.cutAfter === undefined || wrong.cutAfter >= body.byteLength) response.end(body);
  else response.write(body.subarray(0, wrong.cutAfter), () => setTimeout(() => response.destroy(), 20));
}
