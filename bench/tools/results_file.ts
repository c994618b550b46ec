import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { version } from "../../src/cli/package.ts";
import { InputError } from "../../src/errors.ts";
import type { AdapterFacts } from "../../src/gpu/gpu.ts";
import { writeFileAtomically } from "../../src/weights/atomic_file_node.ts";
import { parseJson } from "../../src/weights/byte_source.ts";
import type { BenchResult } from "../harness.ts";

/** A case that was timed, with its family. */
export interface FamilyResult extends BenchResult {
  family: string;
}

/** What every saved run says of itself. */
export interface RunFacts {
  version: string;
  /** Commit of the working tree, with a + where files of it were changed. */
  commit: string;
  date: string;
  node: string;
  device: string;
  driver: string;
}

/** What `npm run bench -- --save FILE` writes. */
export interface ResultsFile extends RunFacts {
  format: typeof format;
  results: FamilyResult[];
}

const format = "attnscope bench 1";

/** The facts of a run on a device, now. */
export function runFacts({ device, description }: AdapterFacts): RunFacts {
  return { version, commit: commitNow(), date: new Date().toISOString(), node: process.version, device, driver: description };
}

/** The results of a run on a device, now. */
export function resultsFile(adapter: AdapterFacts, results: FamilyResult[]): ResultsFile {
  return { format, ...runFacts(adapter), results };
}

/** Commit of the working tree, with a + where files of it were changed. */
export function commitNow(): string {
  const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8", cwd: import.meta.dirname }).trim();
  try {
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+");
  } catch {
    return "unknown";
  }
}

/** Writes results, a case a line. */
export async function saveResults(path: string, { results, ...facts }: ResultsFile): Promise<void> {
  const lines = results.map((result) => `    ${JSON.stringify(result, (_key, value) => (typeof value === "number" ? Number(value.toPrecision(6)) : value))}`);
  const text = `${JSON.stringify(facts, null, 2).slice(0, -2)},\n  "results": [\n${lines.join(",\n")}\n  ]\n}\n`;
  await writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(text)));
}

/** Reads saved results. @throws InputError */
export function readResults(path: string): ResultsFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new InputError(path, `cannot be read (${(error as NodeJS.ErrnoException).code}); check the path`);
  }
  const file = parseJson(path, text) as Partial<ResultsFile> | null;
  if (file?.format !== format) throw new InputError(path, "holds no bench results; expected what npm run bench -- --save FILE writes");
  return file as ResultsFile;
}
