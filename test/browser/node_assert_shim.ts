// Stands in for node:assert/strict where the kernels' tests run in a browser: what they use of it.

class AssertionError extends Error {}

function fail(message?: string): never {
  throw new AssertionError(message ?? "failed");
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return keys.length === others.length && keys.every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

const shown = (value: unknown) => JSON.stringify(value, (_, of) => (ArrayBuffer.isView(of) ? [...(of as Float32Array)] : of))?.slice(0, 200);

type Expected = RegExp | (new (...args: never[]) => Error) | ((error: unknown) => boolean);

function check(error: unknown, expected?: Expected): void {
  if (expected === undefined) return;
  if (expected instanceof RegExp) return expected.test(String(error)) ? undefined : fail(`${String(error)} does not match ${expected}`);
  const isClass = expected.prototype instanceof Error;
  const fits = isClass ? error instanceof (expected as new () => Error) : (expected as (error: unknown) => boolean)(error);
  if (!fits) fail(`${String(error)} was not expected`);
}

function throws(body: () => unknown, expected?: Expected): void {
  try {
    body();
  } catch (error) {
    return check(error, expected);
  }
  fail("nothing was thrown");
}

async function rejects(promise: Promise<unknown>, expected?: Expected): Promise<void> {
  const failure = await promise.then(() => undefined, (error: unknown) => ({ error }));
  if (!failure) fail("nothing was thrown");
  check(failure.error, expected);
}

export default {
  fail, throws, rejects,
  ok: (value: unknown, message?: string) => void (value || fail(message)),
  equal: (a: unknown, b: unknown, message?: string) => void (Object.is(a, b) || fail(message ?? `${shown(a)} is not ${shown(b)}`)),
  deepEqual: (a: unknown, b: unknown, message?: string) => void (same(a, b) || fail(message ?? `${shown(a)} is not ${shown(b)}`)),
};
