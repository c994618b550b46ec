import { type MetricName, type RowMetrics, metricColumns, metricNames } from "../eval/row.ts";
import { type GroupSummary, summarise } from "../eval/summary.ts";
import type { Table } from "../eval/tables.ts";
import type { SweptSettings } from "./grid.ts";
import { type SweptOption, baseOf, settingKey, sweptOptions, variants } from "./settings.ts";
import { type SweepRow, rowsUnder } from "./sweep_row.ts";

/** The means of a setting; null where no row has the metric. */
export interface SettingMeans {
  readonly settings: SweptSettings;
  readonly samples: number;
  readonly all: RowMetrics;
  /** Every sample counts as often as its finding has samples. */
  readonly weighted: RowMetrics;
}

/** The means of a setting over all samples, with confidence intervals. */
export interface SettingSummary {
  readonly settings: SweptSettings;
  readonly all: GroupSummary;
}

/** What a sweep came to. */
export interface SweepSummary {
  readonly base: SweptSettings;
  /** Of each option that was varied: the settings that differ from the base in it alone, with confidence intervals. */
  readonly variants: Partial<Record<SweptOption, SettingSummary[]>>;
  readonly settings: readonly SettingMeans[];
}

/** Means of every setting, and intervals of those that differ from the base in one option, as the paper's tables have them. */
export function summariseSweep(rows: readonly SweepRow[], settings: readonly SweptSettings[]): SweepSummary {
  const base = baseOf(settings);
  const indexOf = new Map(settings.map((each, i) => [settingKey(each), i]));
  const varied = sweptOptions.map((option) => [option, variants(settings, base, option)] as const).filter(([, some]) => some.length > 1);
  const summary = (each: SweptSettings): SettingSummary => {
    const [{ all }] = summarise(rowsUnder(rows, indexOf.get(settingKey(each)) as number));
    return { settings: each, all };
  };
  return {
    base,
    variants: Object.fromEntries(varied.map(([option, some]) => [option, some.map(summary)])),
    settings: settings.map((each, i) => {
      const [{ all, weighted }] = summarise(rowsUnder(rows, i), { resamples: 0 });
      return { settings: each, samples: all.rows, all: meansOf(all), weighted: meansOf(weighted) };
    }),
  };
}

function meansOf({ metrics }: GroupSummary): RowMetrics {
  return Object.fromEntries(metricNames.map((name) => [name, metrics[name]?.mean ?? null])) as Record<MetricName, number | null>;
}

const settingColumns = ["mode", "steps", "tokens", "merge", "last_steps", "layers"];

function settingCells(settings: SweptSettings): (string | number)[] {
  return sweptOptions.map((option) => shownValue(settings[option]));
}

/** A value as the command line takes it. */
export function shownValue(value: SweptSettings[SweptOption]): string | number {
  return Array.isArray(value) ? value.join("+") : (value as string | number);
}

/** A line a setting: the means over all samples, then those of the published weighting. */
export function settingsTable({ settings }: SweepSummary): Table {
  const names = metricNames.map((name) => metricColumns[name]);
  const means = (metrics: RowMetrics) => metricNames.map((name) => metrics[name] ?? "");
  const cells = settings.map(({ settings: each, samples, all, weighted }) => [...settingCells(each), samples, ...means(all), ...means(weighted)]);
  return [[...settingColumns, "samples", ...names, ...names.map((name) => `weighted_${name}`)], ...cells];
}

/** A line a setting that differs from the base in one option: means over all samples with their intervals. */
export function variantsTable({ variants: varied }: SweepSummary): Table {
  const names = metricNames.flatMap((name) => [metricColumns[name], `${metricColumns[name]}_low`, `${metricColumns[name]}_high`]);
  const cells = Object.entries(varied).flatMap(([option, some]) =>
    some.map(({ settings, all }) => [
      option === "lastSteps" ? "last_steps" : option, ...settingCells(settings), all.rows,
      ...metricNames.flatMap((name) => [all.metrics[name]?.mean ?? "", all.metrics[name]?.low ?? "", all.metrics[name]?.high ?? ""]),
    ]),
  );
  return [["varied", ...settingColumns, "samples", ...names], ...cells];
}
