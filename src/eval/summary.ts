import { createRandom } from "../random.ts";
import { groupBy } from "../group_by.ts";
import { quantile } from "../statistics.ts";
import { type RowKind, rowKinds } from "./plan.ts";
import { type EvalRow, type MetricName, metricNames } from "./row.ts";

/** A mean, and the interval that holds it in 95 % of the resamples. */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Means of some rows. */
export interface GroupSummary {
  /** A finding, or which average it is. */
  readonly group: string;
  readonly rows: number;
  /** null where no row has the metric. */
  readonly metrics: Readonly<Record<MetricName, Estimate | null>>;
}

/** The rows of one kind: by finding, then over all samples, each counting once and as published. */
export interface KindSummary {
  readonly kind: RowKind;
  readonly diseases: readonly GroupSummary[];
  readonly all: GroupSummary;
  /** Every sample counts as often as its finding has samples. */
  readonly weighted: GroupSummary;
}

/** What a summary needs of a row. */
export type SummarisedRow = Pick<EvalRow, "kind" | "label" | "image" | "metrics">;

/** Options of `summarise`. */
export interface SummaryOptions {
  /** Resamples of a confidence interval. Default: 1000. */
  readonly resamples?: number;
  /** Seed of the resampling. Default: 0. */
  readonly seed?: number;
}

/** Averages of a run's rows, kind by kind. */
export function summarise(rows: readonly SummarisedRow[], options: SummaryOptions = {}): KindSummary[] {
  return rowKinds.flatMap((kind) => {
    const ofKind = rows.filter((row) => row.kind === kind);
    if (ofKind.length === 0) return [];
    const diseases = [...groupBy(ofKind, ({ label }) => label)].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      kind,
      diseases: diseases.map(([label, ofLabel]) => summariseGroup(label, ofLabel, plainMeans, options)),
      all: summariseAll(ofKind, options),
      weighted: summariseGroup("Weighted Avg.", ofKind, weightedMeans, options),
    };
  });
}

/** Averages of rows of any kind together; of none, every metric is null. */
export function summariseAll(rows: readonly SummarisedRow[], options: SummaryOptions = {}): GroupSummary {
  return summariseGroup("all", rows, plainMeans, options);
}

/** Rows to one value a metric, in the order of `metricNames`; NaN where there is none. */
type Statistic = (rows: readonly SummarisedRow[]) => number[];

function plainMeans(rows: readonly SummarisedRow[]): number[] {
  return metricNames.map((name) => weightedMean(rows, name, () => 1));
}

/** Table 1's "Weighted Avg.", with which a finding counts by the square of its size. */
function weightedMeans(rows: readonly SummarisedRow[]): number[] {
  const frequency = new Map([...groupBy(rows, ({ label }) => label)].map(([label, { length }]) => [label, length]));
  return metricNames.map((name) => weightedMean(rows, name, ({ label }) => frequency.get(label) as number));
}

function weightedMean(rows: readonly SummarisedRow[], name: MetricName, weightOf: (row: SummarisedRow) => number): number {
  let sum = 0;
  let weights = 0;
  for (const row of rows) {
    const value = row.metrics[name];
    if (value === null) continue;
    const weight = weightOf(row);
    sum += weight * value;
    weights += weight;
  }
  return sum / weights;
}

function summariseGroup(group: string, rows: readonly SummarisedRow[], statistic: Statistic, options: SummaryOptions): GroupSummary {
  const means = statistic(rows);
  const intervals = bootstrapIntervals(rows, statistic, options);
  const estimates = metricNames.map((name, i) => [name, Number.isNaN(means[i]) ? null : { mean: means[i], ...intervals[i] }]);
  return { group, rows: rows.length, metrics: Object.fromEntries(estimates) };
}

/** Percentile intervals (2.5 to 97.5) of a statistic. Films are drawn, not rows: what a film's phrases have in common stays together. */
function bootstrapIntervals(rows: readonly SummarisedRow[], statistic: Statistic, { resamples = 1000, seed = 0 }: SummaryOptions): { low: number; high: number }[] {
  const films = [...groupBy(rows, ({ image }) => image).values()];
  const random = createRandom(seed);
  const draws = Array.from({ length: resamples }, () => statistic(Array.from(films, () => films[random.integer(films.length)]).flat()));
  return metricNames.map((_, i) => {
    const sorted = Float64Array.from(draws, (values) => values[i]).filter((value) => !Number.isNaN(value)).sort();
    const bound = (at: number) => (sorted.length > 0 ? quantile(sorted, at) : NaN);
    return { low: bound(0.025), high: bound(0.975) };
  });
}
