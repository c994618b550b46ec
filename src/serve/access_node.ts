import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

/** Who may ask for what. */
export interface Access {
  /** Names under which the server may be addressed, without ports. */
  readonly hosts: ReadonlySet<string>;
  /** Must come with every request, where there is one. */
  readonly token?: string;
}

/** A request that is not answered. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
}

/** Names of this machine's loopback: whoever uses them sits at it. */
export const loopbackNames = ["localhost", "127.0.0.1", "[::1]"] as const;

const cookieName = "attnscope_token";

/** The cookie that carries a token from then on: not readable by scripts, not sent along with other sites' requests. */
export function tokenCookie(token: string): string {
  return `${cookieName}=${encodeURIComponent(token)}; Path=/; HttpOnly; SameSite=Strict`;
}

/** Why a request is refused, or undefined where it may pass. */
export function refusalOf(request: IncomingMessage, url: URL, access: Access): Refusal | undefined {
  const { headers } = request;
  const host = hostOf(headers.host);
  // A site that makes its own name lead here (DNS rebinding) is told by that name.
  if (!host || !access.hosts.has(host.hostname)) return { status: 403, message: "this server does not go by that name; use the address that attnscope serve printed, or add the name with --allow-host" };
  if (!isOwnOrigin(headers, host) || isForeign(request, url)) return { status: 403, message: "other sites may not use this server" };
  if (access.token !== undefined && !presents(headers, url, access.token)) return { status: 401, message: "a token is needed; open the address that attnscope serve printed" };
  return undefined;
}

function hostOf(header: string | undefined): URL | undefined {
  if (header === undefined || !/^[\w.:[\]-]+$/.test(header) || !URL.canParse(`http://${header}`)) return undefined;
  return new URL(`http://${header}`);
}

function isOwnOrigin({ origin }: IncomingHttpHeaders, { host }: URL): boolean {
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

/** Whether a browser says that another site asks; a link to the page itself may come from anywhere. */
function isForeign({ headers, method }: IncomingMessage, { pathname }: URL): boolean {
  const site = headers["sec-fetch-site"] ?? "none";
  if (site === "same-origin" || site === "none") return false;
  return !(method === "GET" && pathname === "/" && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document");
}

function presents(headers: IncomingHttpHeaders, url: URL, token: string): boolean {
  const cookie = headers.cookie?.split(/;\s*/).find((pair) => pair.startsWith(`${cookieName}=`));
  const given = [cookie?.slice(cookieName.length + 1), /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1], url.searchParams.get("token")];
  return given.some((candidate) => candidate !== undefined && candidate !== null && sameText(decode(candidate), token));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Compares in a time that tells nothing of where two texts differ. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
