// Stands in for node:test where the kernels' tests run in a browser: collects the tests of one file, and runs them.

interface Context {
  skip(): void;
}

type Body = (context: Context) => unknown;

const tests: { name: string; body: Body }[] = [];
const cleanups: (() => unknown)[] = [];
const scopes: string[] = [];

export function test(name: string, ...rest: [Body] | [{ skip?: unknown }, Body]): void {
  const body = rest[rest.length - 1] as Body;
  if (rest.length === 2 && (rest[0] as { skip?: unknown }).skip) return;
  tests.push({ name: [...scopes, name].join(": "), body });
}

export function describe(name: string, body: () => void): void {
  scopes.push(name);
  body();
  scopes.pop();
}

export function after(body: () => unknown): void {
  cleanups.push(body);
}

/** Runs what was collected. `failures`: a line each. */
export async function runCollected(): Promise<{ ran: number; failures: string[] }> {
  const failures: string[] = [];
  for (const { name, body } of tests) {
    try {
      await body({ skip: () => {} });
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
    }
  }
  for (const cleanup of cleanups) await cleanup();
  return { ran: tests.length, failures };
}
