import type { Comparison, Difference } from "./compare.ts";
import { textTable } from "./text_table.ts";
import { formatMib, formatMs, formatPercent, formatRate } from "./units.ts";

/** A column of two profiles' differences. */
export interface DifferenceColumn {
  head: string;
  text: (of: Difference) => string;
  /** What the table is sorted by. */
  value: (of: Difference) => number | string;
}

const orNone = (value: number | undefined, format: (value: number) => string) => (value === undefined ? "–" : format(value));

/** `+1.20` or `-1.20`. */
export function formatSigned(value: number, format: (value: number) => string): string {
  return `${value < 0 ? "-" : "+"}${format(Math.abs(value))}`;
}

export const differenceColumns: readonly DifferenceColumn[] = [
  { head: "calls before", text: ({ before }) => orNone(before?.calls, String), value: ({ before }) => before?.calls ?? 0 },
  { head: "after", text: ({ after }) => orNone(after?.calls, String), value: ({ after }) => after?.calls ?? 0 },
  { head: "ms before", text: ({ before }) => orNone(before?.typicalMs, formatMs), value: ({ before }) => before?.typicalMs ?? 0 },
  { head: "after", text: ({ after }) => orNone(after?.typicalMs, formatMs), value: ({ after }) => after?.typicalMs ?? 0 },
  { head: "difference", text: ({ differenceMs }) => formatSigned(differenceMs, formatMs), value: ({ differenceMs }) => differenceMs },
  { head: "noise", text: ({ noiseMs }) => formatMs(noiseMs), value: ({ noiseMs }) => noiseMs },
  { head: "change", text: (of) => orNone(changeOf(of), (change) => formatSigned(change, formatPercent)), value: (of) => changeOf(of) ?? 0 },
  { head: "GFLOP/s before", text: ({ before }) => orNone(before?.gflops, formatRate), value: ({ before }) => before?.gflops ?? 0 },
  { head: "after", text: ({ after }) => orNone(after?.gflops, formatRate), value: ({ after }) => after?.gflops ?? 0 },
  { head: "verdict", text: ({ verdict, sourceChanged }) => (sourceChanged && verdict !== "new" && verdict !== "gone" ? `${verdict}, other source` : verdict), value: ({ verdict }) => verdict },
];

function changeOf({ before, after }: Difference): number | undefined {
  return before && after && before.typicalMs > 0 ? after.typicalMs / before.typicalMs - 1 : undefined;
}

const mostRows = 20;

/** A comparison for a terminal. Milliseconds are those of calls at the median of their kind. */
export function comparisonTable(comparison: Comparison): string {
  const { files, before, after, notes, kernels, scopes } = comparison;
  const table = (head: string, rows: readonly Difference[]) =>
    textTable([head, ...differenceColumns.map((column) => column.head)], rows.slice(0, mostRows).map((row) => [row.name, ...differenceColumns.map(({ text }) => text(row))]), 1);
  return [
    [`before: ${files[0]}, ${before.work.title}`, `after: ${files[1]}, ${after.work.title}`, ...wholeRows(comparison).map(([name, a, b]) => `${name}: ${a} before, ${b} after`)].join("\n"),
    ...(notes.length > 0 ? [notes.map((note) => `Note: ${note}.`).join("\n")] : []),
    table("kernel", kernels),
    table("scope", scopes),
  ].join("\n\n");
}

/** What both profiles say as a whole. */
export function wholeRows({ before, after }: Comparison): [name: string, before: string, after: string][] {
  const row = (name: string, text: (of: Comparison["before"]) => string): [string, string, string] => [name, text(before), text(after)];
  return [
    row("undisturbed", ({ wall }) => `${formatMs(wall.againMs)} ms`),
    row("in dispatches", ({ gpu }) => `${formatMs(gpu.busyMs)} ms`),
    row("of the host a dispatch", ({ host }) => `${formatRate(host.medianDispatchUs)} µs`),
    row("of the roofline", ({ total }) => formatPercent(total.roofShare)),
    row("dispatches", ({ host }) => String(host.dispatches)),
    row("live at most", ({ peakBytes }) => formatMib(peakBytes)),
    row("the machine copies", ({ roofs }) => `${formatRate(roofs.copyGBps)} GB/s`),
    row("and computes, in registers", ({ roofs }) => `${formatRate(roofs.fmaGflops)} GFLOP/s`),
  ];
}
