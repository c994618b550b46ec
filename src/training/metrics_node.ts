import { open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import { InputError } from "../errors.ts";
import { makeFolders, onDisk, writeFileAtomically } from "../weights/atomic_file_node.ts";
import type { StepRecord } from "./loop.ts";

/** The record of a run's steps in its folder: one row a step. */
export const METRICS_FILE = "metrics.csv";

/** Columns, and the members of a record that stand in them. */
const columns: Readonly<Record<string, keyof StepRecord>> = {
  step: "step",
  loss: "loss",
  learning_rate: "learningRate",
  gradient_norm: "gradientNorm",
  loss_scale: "lossScale",
  skipped_steps: "skippedSteps",
  ema_decay: "emaDecay",
  seconds: "seconds",
  samples_per_second: "samplesPerSecond",
};

/** A run's metrics, which grow. */
export interface MetricsFile {
  /** The steps that were there before. */
  readonly earlier: readonly StepRecord[];
  /** Adds a row, which is on the disk when the promise resolves. */
  append(record: StepRecord): Promise<void>;
  /** Closes the file. */
  close(): Promise<void>;
}

/** Opens a run's metrics for what follows step `step`: rows of later steps, which will be taken again, are removed. */
export async function openMetrics(path: string, step: number): Promise<MetricsFile> {
  await makeFolders(dirname(path));
  const earlier = (await readMetrics(path)).filter((record) => record.step <= step);
  const head = `${Object.keys(columns).join(",")}\n`;
  await writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(head + earlier.map(toRow).join(""))));
  const file = await onDisk(path, open(path, "a"));
  return {
    earlier,
    async append(record) {
      await onDisk(path, file.write(toRow(record)));
      await onDisk(path, file.datasync());
    },
    close: () => file.close(),
  };
}

/**
 * The steps of a run, as far as they are whole: a process that was ended may have cut the last one off. None without a file.
 * @throws InputError where the file cannot be read, or is no table
 */
export async function readMetrics(path: string): Promise<StepRecord[]> {
  const [head = [], ...rows] = parseTable(path, await readIfThere(path));
  return rows.filter((row) => row.length === head.length).map((row) => {
    const cells = Object.fromEntries(head.map((column, i) => [columns[column], row[i] === "" ? undefined : Number(row[i])]));
    return cells as unknown as StepRecord;
  });
}

/** The text of a file; empty where there is none. */
function readIfThere(path: string): Promise<string> {
  return readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return "";
    throw new InputError(path, `cannot be read (${cause.code}); make it readable, or choose another --out`, { cause });
  });
}

/** The cells of the lines that were written to their end. */
function parseTable(path: string, text: string): string[][] {
  try {
    return parse(text.slice(0, text.lastIndexOf("\n") + 1), { relax_column_count: true, skip_empty_lines: true }) as string[][];
  } catch (cause) {
    throw new InputError(path, `is not a table (${(cause as Error).message}); put a copy of it there, or move it away`, { cause });
  }
}

function toRow(record: StepRecord): string {
  return stringify([Object.values(columns).map((name) => record[name])]);
}
