import { groupBy } from "../group_by.ts";
import { type EvalRow, type MetricName, metricColumns, metricNames } from "./row.ts";
import type { KindSummary } from "./summary.ts";

/** Cells of a table, its header first; empty where there is no value. */
export type Table = (string | number)[][];

/** Every row of a run. */
export function rowsTable(rows: readonly EvalRow[]): Table {
  const header = ["sample", "kind", "dicom_id", "path", "label", "phrase", "text", "boxes_of", ...Object.values(metricColumns), "ssim", "s", "threshold", "note", "deviation"];
  const cells = rows.map(({ sample, kind, id, image, label, phrase, text, boxesOf = "", metrics, ssim = "", s = "", threshold, note = "", deviation = "" }) => [
    sample, kind, id, image, label, phrase, text, boxesOf, ...metricNames.map((name) => metrics[name] ?? ""), ssim, s, threshold, note, deviation,
  ]);
  return [header, ...cells];
}

/** Means and intervals: a line a finding, then the averages. */
export function summaryTable(summaries: readonly KindSummary[]): Table {
  const header = ["kind", "group", "samples", ...Object.values(metricColumns).flatMap((column) => [column, `${column}_low`, `${column}_high`])];
  const cells = summaries.flatMap(({ kind, diseases, all, weighted }) =>
    [...diseases, all, weighted].map(({ group, rows, metrics }) => [
      kind, group, rows, ...metricNames.flatMap((name) => [metrics[name]?.mean ?? "", metrics[name]?.low ?? "", metrics[name]?.high ?? ""]),
    ]),
  );
  return [header, ...cells];
}

// --- the files of the published evaluation, so that its results can be laid beside ours --------------------------------

/** The columns of the published results, in their order. */
const publishedColumns: Readonly<Record<string, MetricName>> = {
  iou: "iou", miou: "miou", bboxiou: "boxIou", bboxmiou: "boxMiou", distance: "distance", top1: "top1", aucroc: "aucRoc", cnr: "cnr",
};

/** `bbox_results.csv` of the published code. */
export function publishedRows(rows: readonly EvalRow[]): Table {
  const header = ["", "rel_path", "finding_labels", ...Object.keys(publishedColumns)];
  return [header, ...rows.map(({ image, label, metrics }, i) => [i, image, label, ...Object.values(publishedColumns).map((name) => metrics[name] ?? "")])];
}

/** Averages as the published code names them: every finding's, `all` and `Weighted_Average`. */
export type PublishedMeans = Readonly<Record<string, Readonly<Record<string, number | null>>>>;

/** `bbox_results.json` of the published code. */
export function publishedMeans(rows: readonly EvalRow[]): PublishedMeans {
  const groups = [...groupBy(rows, ({ label }) => label)].sort(([a], [b]) => (a < b ? -1 : 1));
  const frequency = new Map(groups.map(([label, { length }]) => [label, length]));
  const frequencyOf = ({ label }: EvalRow) => frequency.get(label) as number;
  const total = rows.reduce((sum, row) => sum + frequencyOf(row), 0);
  return {
    all: { ...means(rows), frequency: total / rows.length },
    ...Object.fromEntries(groups.map(([label, ofLabel]) => [label, { ...means(ofLabel), frequency: ofLabel.length }])),
    // A sample without a distance adds nothing to its sum there, and yet its weight to the divisor.
    Weighted_Average: { ...mapColumns((name) => rows.reduce((sum, row) => sum + frequencyOf(row) * (row.metrics[name] ?? 0), 0) / total), frequency: rows.length },
  };
}

/** `bbox_results_means.csv` of the published code. */
export function publishedMeansTable({ all: _, ...groups }: PublishedMeans): Table {
  const columns = [...Object.keys(publishedColumns), "frequency"];
  return [["", ...columns], ...Object.entries(groups).map(([group, values]) => [group, ...columns.map((column) => values[column] ?? "")])];
}

function means(rows: readonly EvalRow[]): Record<string, number | null> {
  return mapColumns((name) => {
    const values = rows.flatMap(({ metrics }) => metrics[name] ?? []);
    return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  });
}

function mapColumns(valueOf: (name: MetricName) => number | null): Record<string, number | null> {
  return Object.fromEntries(Object.entries(publishedColumns).map(([column, name]) => [column, valueOf(name)]));
}
