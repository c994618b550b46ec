import * as errors from "../errors.ts";

/** A call of the client: arguments are what structured cloning can carry. */
export interface Call {
  id: number;
  method: string;
  args: readonly unknown[];
}

/** Asks that a call be given up. */
export interface Cancellation {
  id: number;
  cancelled: true;
}

/** What the worker says of a call: something that happened, or its outcome. */
export type Reply = { id: number } & ({ event: string; data: unknown } | { value: unknown } | { error: SentError });

/** An error on its way: classes do not survive structured cloning. */
export interface SentError {
  name: string;
  message: string;
  stack?: string;
  /** The fields that its class adds, such as `where`. */
  fields: Record<string, unknown>;
}

export function sendError(error: unknown): SentError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), fields: {} };
  const { name, message, stack, ...fields } = error as Error & Record<string, unknown>;
  return { name, message, stack, fields: Object.fromEntries(Object.entries(fields).filter(([, value]) => typeof value === "string" || typeof value === "number")) };
}

/** The error as its own class again, so that `instanceof` holds on both sides. */
export function receiveError({ name, message, stack, fields }: SentError): Error {
  if (name === "AbortError") return new DOMException(message, name);
  const family = errors as unknown as Record<string, { prototype: object }>;
  const error = Object.create(Object.hasOwn(family, name) ? family[name].prototype : Error.prototype) as Error;
  for (const [key, value] of Object.entries({ name, message, stack, ...fields })) Object.defineProperty(error, key, { value, writable: true, configurable: true });
  return error;
}
