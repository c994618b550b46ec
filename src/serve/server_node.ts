import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { setTimeout } from "node:timers/promises";
import sirv from "sirv";
import { AttnscopeError, DeviceError } from "../errors.ts";
import { type Access, refusalOf, tokenCookie } from "./access_node.ts";
import { securityHeaders } from "./headers.ts";
import { QueueClosedError, QueueFullError, createJobQueue } from "./job_queue.ts";
import { BodyTooLargeError, readBody } from "./read_body_node.ts";

/** Largest image file that is taken. */
export const MAX_BODY_BYTES = 64 * 2 ** 20;
/** Requests that may wait while one is computed. */
export const MAX_WAITING = 8;
/** How long a stopping server waits for clients to take their answers, in milliseconds. */
const LAST_ANSWERS_MS = 5000;

/** What is served, to whom, and how requests are computed. */
export interface ServeOptions {
  /** Folder of the page. */
  page: string;
  /** Folder of the model, under `model/`. */
  model: string;
  access: Access;
  /** Grounds the image of a request; the result is sent as JSON. Errors of AttnscopeError's family are told to the client. */
  ground(image: Uint8Array, settings: URLSearchParams, signal: AbortSignal): Promise<object>;
  /** Told of defects: errors that nobody expected. */
  onDefect(error: unknown): void;
}

/** A server, and how it ends. */
export interface PageServer {
  readonly server: Server;
  /** Finishes the request that runs, refuses those that wait, and cuts all other connections: uploads may never end. */
  stop(): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves the page, the model, and `POST /api/ground`. */
export function createPageServer(options: ServeOptions): PageServer {
  const queue = createJobQueue(MAX_WAITING);
  /** Of requests that were read whole. */
  const unanswered = new Set<ServerResponse>();
  const files = { page: staticFiles(options.page), model: staticFiles(options.model) };
  const server = createServer({ requestTimeout: 120_000, headersTimeout: 10_000, maxHeaderSize: 8192 }, (request, response) => {
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
    answer(request, response).catch((error: unknown) => fail(response, error, options.onDefect));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request);
    if (!url) return send(response, 400, "the address cannot be read");
    const refusal = refusalOf(request, url, options.access);
    if (refusal) return send(response, refusal.status, refusal.message);
    if (url.pathname === "/api/ground") return ground(request, response, url);
    if (request.method !== "GET" && request.method !== "HEAD") return send(response, 405, "only GET is answered here", { Allow: "GET, HEAD" });
    if (url.searchParams.has("token") && url.pathname === "/") return login(response, options.access.token);
    const isModel = url.pathname.startsWith("/model/");
    request.url = isModel ? url.pathname.slice("/model".length) : url.pathname;
    (isModel ? files.model : files.page)(request, response);
  }

  async function ground(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    if (request.method !== "POST") return send(response, 405, "send the image with POST", { Allow: "POST" });
    const gone = new AbortController();
    response.on("close", () => {
      gone.abort();
      unanswered.delete(response);
    });
    const receive = async () => {
      const image = await readBody(request, MAX_BODY_BYTES);
      if (!gone.signal.aborted) unanswered.add(response);
      return image;
    };
    const result = await queue.run(receive, (image) => options.ground(image, url.searchParams, gone.signal), gone.signal);
    response.setHeader("Cache-Control", "no-store");
    response.setHeader("Content-Type", "application/json; charset=utf-8");
    response.end(JSON.stringify(result));
  }

  return {
    server,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await queue.close();
      const answered = Promise.all([...unanswered].map((response) => once(response, "close")));
      await Promise.race([answered, setTimeout(LAST_ANSWERS_MS, undefined, { ref: false })]);
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Files as they are when the server starts: what is asked for is looked up among them, so no path leads elsewhere. */
function staticFiles(folder: string): Handler {
  const serve = sirv(folder, { etag: true, dotfiles: false, extensions: ["html"], setHeaders: (response) => response.setHeader("Cache-Control", "no-cache") });
  return (request, response) => serve(request, response, () => send(response, 404, "there is no such file"));
}

function urlOf({ url = "" }: IncomingMessage): URL | undefined {
  // What begins with two slashes would be read as another host.
  return url.startsWith("/") && !url.startsWith("//") && URL.canParse(url, "http://host") ? new URL(url, "http://host") : undefined;
}

/** Takes the token out of the address, where it would be kept in the browser's history. */
function login(response: ServerResponse, token: string | undefined): void {
  if (token !== undefined) response.setHeader("Set-Cookie", tokenCookie(token));
  response.writeHead(303, { Location: "/" }).end();
}

function send(response: ServerResponse, status: number, message: string, headers: Record<string, string> = {}): void {
  if (!response.headersSent) response.writeHead(status, { ...headers, "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", Connection: "close" });
  response.end(`${message}\n`);
}

function fail(response: ServerResponse, error: unknown, onDefect: (error: unknown) => void): void {
  if (response.destroyed || (error instanceof Error && error.name === "AbortError")) return void response.destroy();
  if (error instanceof QueueFullError) return send(response, 429, `${error.message}; try again later`, { "Retry-After": "5" });
  if (error instanceof QueueClosedError) return send(response, 503, error.message);
  if (error instanceof BodyTooLargeError) return send(response, 413, error.message);
  if (error instanceof DeviceError) return send(response, 503, error.message);
  if (error instanceof AttnscopeError) return send(response, 400, error.message);
  onDefect(error);
  send(response, 500, "the request could not be computed");
}
