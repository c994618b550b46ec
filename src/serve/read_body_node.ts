import type { IncomingMessage } from "node:http";

/** A request's body has more bytes than are taken. */
export class BodyTooLargeError extends Error {
  override name = "BodyTooLargeError";
}

/** Reads a request's body. @throws BodyTooLargeError as soon as it has more than `most` bytes */
export async function readBody(request: IncomingMessage, most: number): Promise<Uint8Array> {
  if (Number(request.headers["content-length"] ?? 0) > most) throw new BodyTooLargeError(`at most ${most} bytes are taken`);
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > most) throw new BodyTooLargeError(`at most ${most} bytes are taken`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}
