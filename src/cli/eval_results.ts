import { join } from "node:path";
import { toCsv } from "../data/layouts/csv_node.ts";
import { rowKinds } from "../eval/plan.ts";
import { type EvalRow, type MetricName, metricNames } from "../eval/row.ts";
import type { EvalRun } from "../eval/run_folder_node.ts";
import { type GroupSummary, type KindSummary, summarise } from "../eval/summary.ts";
import { type Table, publishedMeans, publishedMeansTable, publishedRows, rowsTable, summaryTable } from "../eval/tables.ts";
import { formatDuration } from "../report/numbers.ts";
import { savingsRows } from "../report/savings_rows.ts";
import { writeFileAtomically } from "../weights/atomic_file_node.ts";
import { log } from "./command.ts";
import type { WorkEnd } from "./recorded_work.ts";
import { writeText } from "./result_files.ts";

/** Where a run's folder has its results. */
export const SUMMARY_FILE = "summary.json";

/** What a run came to, and how this session ended; that is absent of shards that were joined. */
export interface EvalResults extends Partial<WorkEnd> {
  out: string;
  run: EvalRun;
  rows: number;
  summaries: KindSummary[];
}

/**
 * Writes the tables of a run: every row and the averages, as CSV and JSON, and in `published/` the rows of the samples'
 * own phrases as the published code writes them.
 */
export async function writeEvalResults(out: string, run: EvalRun, unsorted: readonly EvalRow[], end?: WorkEnd): Promise<EvalResults> {
  const rows = unsorted.toSorted((a, b) => a.sample - b.sample || rowKinds.indexOf(a.kind) - rowKinds.indexOf(b.kind));
  const results = { run, rows: rows.length, summaries: summarise(rows), ...end };
  await writeTable(join(out, "rows.csv"), rowsTable(rows));
  await writeTable(join(out, "summary.csv"), summaryTable(results.summaries));
  await writeJson(join(out, SUMMARY_FILE), results);
  const own = rows.filter(({ kind }) => kind === "phrase");
  if (own.length > 0) await writePublished(join(out, "published"), own);
  return { out, ...results };
}

async function writePublished(folder: string, own: readonly EvalRow[]): Promise<void> {
  const means = publishedMeans(own);
  await writeTable(join(folder, "bbox_results.csv"), publishedRows(own));
  await writeTable(join(folder, "bbox_results_means.csv"), publishedMeansTable(means));
  await writeJson(join(folder, "bbox_results.json"), means);
}

/** Writes a table as CSV. */
export async function writeTable(path: string, table: Table): Promise<void> {
  await writeFileAtomically(path, (sink) => sink.write(toCsv(table)));
}

/** Writes a value as JSON for people. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeText(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** The averages for people, then the path of the folder. */
export function printEvalResults({ out, summaries }: EvalResults): void {
  for (const { kind, diseases, all, weighted } of summaries) {
    const groups = kind === "phrase" ? [...diseases, all, weighted] : [all];
    const width = Math.max(...groups.map(({ group }) => group.length));
    log(`${kind}: mean [95 % interval]`);
    for (const group of groups) log(`  ${group.group.padEnd(width)}  ${String(group.rows).padStart(5)}  ${shownMetrics(group)}`);
  }
  if (summaries.length === 0) log("no sample was evaluated");
  process.stdout.write(`${out}\n`);
}

const shownNames: Partial<Record<MetricName, string>> = { cnr: "CNR", aucRoc: "AUC-ROC", top1: "Top-1", miou: "mIoU" };

/** The main metrics of a group with their intervals, for people. */
export function shownMetrics({ metrics }: GroupSummary): string {
  const shown = metricNames.filter((name) => name in shownNames).map((name) => {
    const estimate = metrics[name];
    const value = estimate ? `${estimate.mean.toFixed(3)} [${estimate.low.toFixed(3)}, ${estimate.high.toFixed(3)}]` : "none";
    return `${shownNames[name]} ${value}`;
  });
  return shown.join("  ");
}

/** How fast the last session was, and what it saved. */
export function printThroughput({ sessions }: Pick<EvalRun, "sessions">): void {
  const session = sessions.at(-1);
  if (!session || session.phrases === 0) return;
  const { phrases, seconds, cost } = session;
  log(`${phrases} phrases in ${formatDuration(seconds)}: ${((60 * phrases) / seconds).toFixed(1)} a minute; against the published procedure:`);
  for (const { what, taken, published, saved } of savingsRows(cost)) log(`  ${what}: ${taken} instead of ${published}, ${saved} saved`);
}
