import { type MetricName, type RowMetrics, metricNames } from "../eval/row.ts";
import { type KindSummary, type SummaryOptions, summarise } from "../eval/summary.ts";
import type { MeasuredRow } from "./measured.ts";

/** Differences of two methods on the same samples: by finding, over all, and as published, each with its interval. */
export type PairedDifference = Pick<KindSummary, "diseases" | "all" | "weighted">;

/**
 * The mean of `a - b` over the samples that both have, with a paired bootstrap interval: whole films are drawn, and a film's
 * rows of both methods together. undefined where they have no sample in common.
 */
export function pairedDifference(a: readonly MeasuredRow[], b: readonly MeasuredRow[], options: SummaryOptions = {}): PairedDifference | undefined {
  const other = new Map(b.map((row) => [row.sample, row]));
  const differences = a.flatMap((row) => {
    const paired = other.get(row.sample);
    return paired ? [{ ...row, metrics: minus(row.metrics, paired.metrics) }] : [];
  });
  return summarise(differences, options).at(0);
}

function minus(a: RowMetrics, b: RowMetrics): RowMetrics {
  const difference = (name: MetricName) => {
    const [x, y] = [a[name], b[name]];
    return x === null || y === null ? null : x - y;
  };
  return Object.fromEntries(metricNames.map((name) => [name, difference(name)])) as Record<MetricName, number | null>;
}
