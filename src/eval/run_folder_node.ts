import { open, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../errors.ts";
import type { Cost } from "../grounding/savings.ts";
import type { GroundSettings } from "../grounding/options.ts";
import { firstDifference } from "../runs/first_difference.ts";
import { findWorker, lockRun } from "../runs/run_lock_node.ts";
import { onDisk, writeFileAtomically } from "../weights/atomic_file_node.ts";
import { parseJson } from "../weights/byte_source.ts";
import type { Shard } from "./plan.ts";
import { type EvalRow, rowKey } from "./row.ts";

/** All that the rows of a run depend on, besides the films' pixels and the device. */
export interface EvalConfiguration extends RunConfiguration {
  readonly settings: Omit<GroundSettings, "batch" | "perWord" | "label">;
  readonly controls: boolean;
}

/** What every run over a data set depends on. */
export interface RunConfiguration {
  readonly version: string;
  readonly model: { readonly sha256: string; readonly dtype: string };
  readonly data: DataDescription;
  readonly limit?: number;
}

/** A data set. `samples`: those of the split; `sha256`: of paths, texts, labels and boxes. */
export interface DataDescription {
  readonly dataset: string;
  readonly split?: string;
  readonly samples: number;
  readonly sha256: string;
}

/** What the rows of any run have in common. */
export interface RunRow extends Pick<EvalRow, "sample" | "kind" | "image" | "phrase"> {
  readonly metrics: object;
}

/** One sitting of a run: where it ran and what it did. */
export interface EvalSession {
  readonly adapter: string;
  readonly driver: string;
  /** When it began, ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  /** Maps that were made. */
  readonly phrases: number;
  readonly cost: Cost & { readonly published: Cost };
  /** What the reader must know of the results. */
  readonly warnings: readonly string[];
  /** Samples and images that could not be used, and why. */
  readonly leftOut: readonly string[];
}

/** What `run.json` says of a run. */
export interface EvalRun<C = EvalConfiguration> {
  /** Runs are the same where this is. */
  readonly configuration: C;
  /** Name of the model. */
  readonly model: string;
  /** The parts of the data that it has; empty where it has all. */
  readonly shards: readonly Shard[];
  readonly sessions: readonly EvalSession[];
}

/** What a session adds its part to. */
type RunFacts<C> = Omit<EvalRun<C>, "sessions">;

/** A folder that a run leaves its rows in, to go on from. */
export interface RunFolder<Row = EvalRow, C = EvalConfiguration> {
  readonly path: string;
  /** The rows so far. */
  readonly rows: readonly Row[];
  /** Aborted with an InputError when another process has taken the folder: nothing is written there any more. */
  readonly lost: AbortSignal;
  /** Adds rows; they are on the disk when this resolves. Rejects with the reason of `lost`. */
  append(rows: readonly Row[]): Promise<void>;
  /** Tells what this session has done so far. Rejects with the reason of `lost`. */
  record(session: EvalSession): Promise<EvalRun<C>>;
  close(): Promise<void>;
}

const RUN = "run.json";
const ROWS = "rows.jsonl";

/**
 * Opens a run's folder, new or to go on in, for this process alone.
 * @throws InputError where it cannot be written, has a row twice, or naming the first difference where it holds another run
 */
export async function openRunFolder<Row extends RunRow = EvalRow, C extends RunConfiguration = EvalConfiguration>(path: string, run: RunFacts<C>): Promise<RunFolder<Row, C>> {
  const lost = new AbortController();
  const unlock = await lockRun(path, "evaluated", (error) => lost.abort(error));
  try {
    return await openLocked(path, run, { unlock, lost: lost.signal });
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function openLocked<Row extends RunRow, C extends RunConfiguration>(path: string, run: RunFacts<C>, { unlock, lost }: { unlock: () => Promise<void>; lost: AbortSignal }): Promise<RunFolder<Row, C>> {
  const earlier = await readRun<C>(path);
  if (earlier) checkSameRun(path, earlier, run);
  const known = await readRows<Row>(path);
  if (known && !earlier) throw new InputError(join(path, ROWS), `has the rows of an unknown run, whose ${RUN} is missing; choose another --out`);
  if (known) await onDisk(path, truncate(join(path, ROWS), known.bytes));
  const past = earlier?.sessions ?? [];
  await writeRun(path, { ...run, sessions: past });
  const rows = [...(known?.rows ?? [])];
  const file = await onDisk(path, open(join(path, ROWS), "a"));
  return {
    path,
    rows,
    lost,
    async append(added) {
      lost.throwIfAborted();
      await onDisk(path, file.appendFile(added.map((row) => `${JSON.stringify(row)}\n`).join("")));
      await onDisk(path, file.datasync());
      rows.push(...added);
    },
    async record(session) {
      lost.throwIfAborted();
      const told = { ...run, sessions: [...past, session] };
      await writeRun(path, told);
      return told;
    },
    async close() {
      await file.close();
      await unlock();
    },
  };
}

function checkSameRun(path: string, earlier: RunFacts<RunConfiguration>, { configuration, shards }: RunFacts<RunConfiguration>): void {
  const difference = firstDifference({ ...earlier.configuration, shards: earlier.shards }, { ...configuration, shards });
  if (difference) throw new InputError(join(path, RUN), `is of another run: ${difference}; give the same options, or another --out`);
}

/**
 * Joins the rows of shards in a new folder.
 * @throws InputError where two of them are of different runs or have a row in common, or one is still worked on; nothing
 * is written then
 */
export async function mergeRuns<Row extends RunRow = EvalRow, C extends RunConfiguration = EvalConfiguration>(paths: readonly string[], out: string): Promise<{ run: EvalRun<C>; rows: Row[] }> {
  await checkNoRun(out);
  const parts = await Promise.all(paths.map((path) => readShard<Row, C>(path)));
  const [first] = parts;
  const owner = new Map<string, string>();
  for (const { path, run, rows } of parts) {
    const difference = firstDifference(first.run.configuration, run.configuration);
    if (difference) throw new InputError(path, `cannot be joined with ${first.path}: ${difference}; evaluate it again with the same options`);
    for (const row of rows) {
      const other = owner.get(rowKey(row));
      if (other) throw new InputError(path, `has sample ${row.sample} (${row.image}: ${JSON.stringify(row.phrase)}), which ${other} has too; join shards of one evaluation`);
      owner.set(rowKey(row), path);
    }
  }
  const run = { ...first.run, shards: parts.flatMap((part) => part.run.shards), sessions: parts.flatMap((part) => part.run.sessions) };
  const rows = parts.flatMap((part) => part.rows);
  const unlock = await lockRun(out, "joined");
  try {
    await checkNoRun(out); // which may have been made meanwhile
    await writeFileAtomically(join(out, ROWS), (sink) => sink.write(new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(""))));
    await writeRun(out, run);
  } finally {
    await unlock();
  }
  return { run, rows };
}

async function checkNoRun(out: string): Promise<void> {
  if (await readRun(out)) throw new InputError(out, "holds a run already; choose another --out");
}

/** A shard that nobody adds rows to any more. */
async function readShard<Row extends RunRow, C>(path: string): Promise<{ path: string; run: EvalRun<C>; rows: Row[] }> {
  const worker = await findWorker(path);
  if (worker) throw new InputError(path, `is still worked on by ${worker}; join the shards when it has ended`);
  return readWholeRun(path);
}

/** What a folder holds of a run, finished or not. @throws InputError where there is none, or a file of it is damaged */
export async function readWholeRun<Row extends RunRow = EvalRow, C = EvalConfiguration>(path: string): Promise<{ path: string; run: EvalRun<C>; rows: Row[] }> {
  const run = await readRun<C>(path);
  if (!run) throw new InputError(path, `holds no run (${RUN} is missing); name folders that the same command has made`);
  return { path, run, rows: (await readRows<Row>(path))?.rows ?? [] };
}

/** A run's description; undefined where there is none. */
async function readRun<C>(path: string): Promise<EvalRun<C> | undefined> {
  const text = await readIfThere(join(path, RUN));
  return text === undefined ? undefined : (parseJson(join(path, RUN), text) as EvalRun<C>);
}

async function writeRun<C>(path: string, run: EvalRun<C>): Promise<void> {
  await writeFileAtomically(join(path, RUN), (sink) => sink.write(new TextEncoder().encode(`${JSON.stringify(run, null, 2)}\n`)));
}

/**
 * The rows of a folder and the bytes that they take: a last line that was cut off when the process ended does not count.
 * undefined where there are none.
 * @throws InputError where another line is damaged, or has the row of an earlier one
 */
async function readRows<Row extends RunRow>(path: string): Promise<{ rows: Row[]; bytes: number } | undefined> {
  const file = join(path, ROWS);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  const lines = text.split("\n");
  lines.pop(); // empty, or cut off
  const rows = lines.map(parseRow<Row>);
  if (rows.length > 0 && !rows.at(-1)) {
    rows.pop();
    lines.pop();
  }
  const damaged = rows.indexOf(undefined);
  if (damaged >= 0) throw new InputError(`${file}:${damaged + 1}`, "is no row of an evaluation; remove the line, and its sample is evaluated again");
  checkNoneTwice(file, rows as Row[]);
  return { rows: rows as Row[], bytes: Buffer.byteLength(lines.map((line) => `${line}\n`).join("")) };
}

/** Two processes that wrote at once leave rows twice, which would count twice. */
function checkNoneTwice(file: string, rows: readonly RunRow[]): void {
  const lineOf = new Map<string, number>();
  for (const [i, row] of rows.entries()) {
    const earlier = lineOf.get(rowKey(row));
    if (earlier !== undefined) throw new InputError(`${file}:${i + 1}`, `has the row of line ${earlier} again (sample ${row.sample}, ${row.kind}); remove one of the two lines`);
    lineOf.set(rowKey(row), i + 1);
  }
}

function parseRow<Row>(line: string): Row | undefined {
  try {
    const row = JSON.parse(line) as RunRow;
    return Number.isInteger(row.sample) && row.metrics ? (row as Row) : undefined;
  } catch {
    return undefined;
  }
}

/** A file's text; undefined where there is no such file. */
async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return undefined;
    throw new InputError(file, `cannot be read (${cause.code}); check its permissions`, { cause });
  });
}
