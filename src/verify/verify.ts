import { AttnscopeError, InputError } from "../errors.ts";
import type { Golden, VerifyContext } from "./context.ts";
import { allGoldens, halfPrecisionGoldens } from "./goldens.ts";
import { type Part, passes, worstPart } from "./parts.ts";

/** How a golden went. */
export interface GoldenResult {
  name: string;
  ok: boolean;
  /** Error and bound of the part that came closest to its bound or went furthest beyond it; null where none was compared. */
  error: number | null;
  bound: number | null;
  seconds: number;
  /** Why it is not ok. */
  reason?: string;
  parts: Part[];
}

/**
 * Verifies what a folder of goldens holds, one result after the other. A golden that cannot be run is a result too.
 * `only`: names of those to run; throws InputError for an unknown one, and for a folder without any.
 */
export async function* verifyGoldens(context: VerifyContext, only?: readonly string[]): AsyncGenerator<GoldenResult> {
  for (const { golden, path } of await choose(context, only)) {
    context.signal?.throwIfAborted();
    yield await verifyGolden(context, golden, path);
  }
}

interface Chosen {
  golden: Golden;
  /** Absent where the folder has no such golden. */
  path: string | undefined;
}

async function choose(context: VerifyContext, only: readonly string[] | undefined): Promise<Chosen[]> {
  const halves = context.gpu.has("shader-f16") ? halfPrecisionGoldens : [];
  const known = [...allGoldens, ...halves, ...(await strangers(context))];
  const unknown = only?.find((name) => !known.some((golden) => golden.name === name));
  if (unknown !== undefined) throw new InputError("--only", `${unknown} is not one of ${known.map(({ name }) => name).join(", ")}`);
  const chosen: Chosen[] = [];
  for (const golden of known) {
    const path = await locate(context, golden);
    if (only ? only.includes(golden.name) : path !== undefined) chosen.push({ golden, path });
  }
  if (chosen.length === 0) throw new InputError(context.folder.name, "holds no goldens; name a folder in their layout, such as ../shared/goldens");
  return chosen;
}

/** Files that look like goldens of another version: listed rather than passed over. */
async function strangers({ list }: VerifyContext): Promise<Golden[]> {
  const paths = new Set(allGoldens.flatMap((golden) => golden.paths));
  const files = (await list("")).filter((file) => file.endsWith(".safetensors") && !paths.has(file));
  return files.map(unknownGolden);
}

function unknownGolden(path: string): Golden {
  return {
    name: path.replace(/\.safetensors$/, ""),
    paths: [path],
    run: async () => {
      throw new InputError(path, "is no golden that this version knows");
    },
  };
}

async function locate({ folder }: VerifyContext, golden: Golden): Promise<string | undefined> {
  for (const path of golden.paths) if (await folder.has(path)) return path;
  return undefined;
}

async function verifyGolden(context: VerifyContext, golden: Golden, path: string | undefined): Promise<GoldenResult> {
  const start = performance.now();
  const outcome = await run(context, golden, path);
  return { name: golden.name, ...judge(outcome), seconds: (performance.now() - start) / 1000 };
}

interface Outcome {
  parts: Part[];
  reason?: string;
}

/** Errors become reasons; what the user stopped does not. */
async function run(context: VerifyContext, golden: Golden, path: string | undefined): Promise<Outcome> {
  if (path === undefined) return { parts: [], reason: `${context.folder.name} has no ${golden.paths[0]}` };
  try {
    return { parts: await golden.run(context, path) };
  } catch (error) {
    context.signal?.throwIfAborted();
    const { message } = error as Error;
    return { parts: [], reason: error instanceof AttnscopeError ? message : `${path} cannot be read as this golden (${message})` };
  }
}

function judge({ parts, reason }: Outcome): Omit<GoldenResult, "name" | "seconds"> {
  const worst = worstPart(parts);
  const failed = parts.filter((part) => !passes(part));
  const ok = reason === undefined && failed.length === 0 && parts.length > 0;
  return {
    ok,
    error: worst?.error ?? null,
    bound: worst?.bound ?? null,
    ...(ok ? {} : { reason: reason ?? `${failed.length} of ${parts.length} parts are out of bounds, first ${failed[0]?.name}` }),
    parts,
  };
}
