import { guessArchitecture, type ArchitectureGuess } from "./architecture.ts";
import type { Checkpoint, TensorEntry } from "./checkpoint.ts";
import type { CheckpointDType } from "./dtype.ts";
import { shown } from "./shown.ts";

/** What is in a checkpoint. */
export interface CheckpointSummary {
  readonly file: string;
  readonly format: Checkpoint["format"];
  /** Key of the state dict in a PyTorch file; "" where it is the file's root. */
  readonly stateDict: string;
  readonly architecture: ArchitectureGuess | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorEntry[];
  readonly elements: number;
  readonly bytes: number;
  readonly bytesByDtype: Readonly<Partial<Record<CheckpointDType, number>>>;
}

/** Summarises a checkpoint; no tensor is read. */
export function inspectCheckpoint(checkpoint: Checkpoint): CheckpointSummary {
  const tensors = [...checkpoint.tensors.values()];
  const bytesByDtype: Partial<Record<CheckpointDType, number>> = {};
  for (const { dtype, byteLength } of tensors) bytesByDtype[dtype] = (bytesByDtype[dtype] ?? 0) + byteLength;
  return {
    file: checkpoint.name,
    format: checkpoint.format,
    stateDict: checkpoint.stateDict,
    architecture: guessArchitecture(checkpoint.tensors.keys()) ?? null,
    metadata: checkpoint.metadata,
    tensors,
    elements: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    bytes: tensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
    bytesByDtype,
  };
}

/** The summary as lines of text, with one row a tensor. */
export function formatSummary(summary: CheckpointSummary): string {
  const { architecture, tensors } = summary;
  const dtypes = Object.entries(summary.bytesByDtype).map(([dtype, bytes]) => `${dtype} ${formatBytes(bytes)}`);
  const head = [
    `${summary.file}`,
    `format        ${summary.format}${summary.stateDict === "" ? "" : `, state dict under ${shown(summary.stateDict)}`}`,
    `architecture  ${architecture === null ? "unknown" : architecture.name}${architecture?.prefix ? `, keys begin with ${shown(architecture.prefix)}` : ""}`,
    `tensors       ${tensors.length}, ${summary.elements.toLocaleString("en-US")} elements, ${formatBytes(summary.bytes)} (${dtypes.join(", ")})`,
    ...Object.entries(summary.metadata).map(([key, value]) => `metadata      ${printable(key)} = ${shown(value)}`),
  ];
  return [...head, "", ...formatTable(tensors)].join("\n");
}

function formatTable(tensors: readonly TensorEntry[]): string[] {
  const rows = [
    ["name", "dtype", "shape", "bytes"],
    ...tensors.map(({ name, dtype, shape, byteLength }) => [printable(name), dtype, `[${shape.join(", ")}]`, String(byteLength)]),
  ];
  const widths = [0, 1, 2].map((column) => rows.reduce((widest, row) => Math.max(widest, row[column].length), 0));
  const bytesWidth = rows.reduce((widest, row) => Math.max(widest, row[3].length), 0);
  return rows.map(([name, dtype, shape, bytes]) =>
    `${name.padEnd(widths[0])}  ${dtype.padEnd(widths[1])}  ${shape.padEnd(widths[2])}  ${bytes.padStart(bytesWidth)}`);
}

/** A name of a file as it is, except that control characters cannot reach a terminal. */
function printable(name: string): string {
  return name.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, "?");
}

/** Bytes in the largest binary unit that leaves at least 1. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
