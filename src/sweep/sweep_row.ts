import { type EvalRow, type MetricName, type RowMetrics, metricNames } from "../eval/row.ts";
import type { SummarisedRow } from "../eval/summary.ts";

/** One sample under every setting of a sweep: a line of its results. */
export interface SweepRow extends Omit<EvalRow, "metrics" | "ssim" | "s" | "threshold"> {
  /** Of every setting, in the order of `settingsOf`: the values of `metricNames`, null where one is not defined. */
  readonly metrics: readonly PackedMetrics[];
}

/** Values in the order of `metricNames`. */
export type PackedMetrics = readonly (number | null)[];

/** Seven digits are more than a map of float32 has; the rows of a sweep are long. */
export function packMetrics(metrics: RowMetrics): PackedMetrics {
  return metricNames.map((name) => {
    const value = metrics[name];
    return value === null ? null : Number(value.toPrecision(7));
  });
}

/** The rows as one setting (an index) has them. */
export function rowsUnder(rows: readonly SweepRow[], setting: number): SummarisedRow[] {
  return rows.map(({ kind, label, image, metrics }) => ({ kind, label, image, metrics: unpacked(metrics[setting]) }));
}

function unpacked(values: PackedMetrics): RowMetrics {
  return Object.fromEntries(metricNames.map((name, i) => [name, values[i]])) as Record<MetricName, number | null>;
}
