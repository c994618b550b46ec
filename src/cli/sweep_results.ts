import { join } from "node:path";
import type { EvalRun } from "../eval/run_folder_node.ts";
import type { SweptSettings } from "../sweep/grid.ts";
import { type SettingSummary, type SweepSummary, settingsTable, shownValue, summariseSweep, variantsTable } from "../sweep/sweep_tables.ts";
import type { SweptOption } from "../sweep/settings.ts";
import type { SweepRow } from "../sweep/sweep_row.ts";
import { log } from "./command.ts";
import { SUMMARY_FILE, shownMetrics, writeJson, writeTable } from "./eval_results.ts";
import type { SweepConfiguration } from "./sweep_run.ts";
import type { WorkEnd } from "./recorded_work.ts";
import { type LayerSearch, printSearch } from "./sweep_search.ts";

/** What a sweep came to, and how this session ended; that is absent of shards that were joined. */
export interface SweepResults extends SweepSummary, Partial<WorkEnd> {
  out: string;
  run: EvalRun<SweepConfiguration>;
  /** Samples. */
  rows: number;
  search?: LayerSearch;
}

/** What there is of a sweep. */
export interface SweepOutcome extends Pick<SweepResults, "out" | "run" | "search"> {
  rows: readonly SweepRow[];
  settings: readonly SweptSettings[];
  end?: WorkEnd;
}

/** Writes the tables of a sweep: the means of every setting, the variants of the base with intervals, and all of it as JSON. */
export async function writeSweepResults({ out, run, rows: unsorted, settings, search, end }: SweepOutcome): Promise<SweepResults> {
  const rows = unsorted.toSorted((a, b) => a.sample - b.sample);
  const summary: SweepSummary = rows.length > 0 ? summariseSweep(rows, settings) : { base: settings[0], variants: {}, settings: [] };
  const results = { run, rows: rows.length, ...summary, search, ...end };
  await writeTable(join(out, "settings.csv"), settingsTable(summary));
  await writeTable(join(out, "variants.csv"), variantsTable(summary));
  await writeJson(join(out, SUMMARY_FILE), results);
  return { out, ...results };
}

/** The variants of the base for people, then the path of the folder. */
export function printSweepResults({ out, run, base, rows, settings, variants, search }: SweepResults): void {
  log(`${rows} samples under ${settings.length} settings: mean [95 % interval], where one option differs from ${describe(base)}`);
  for (const [option, some] of Object.entries(variants) as [SweptOption, SettingSummary[]][]) {
    log(optionNames[option]);
    const names = some.map((each) => `${shownValue(each.settings[option])}${option === "layers" ? sidesOf(each.settings, run.configuration) : ""}`);
    const width = Math.max(...names.map(({ length }) => length));
    for (const [i, { all }] of some.entries()) log(`  ${names[i].padEnd(width)}  ${shownMetrics(all)}`);
  }
  if (search) printSearch(search);
  process.stdout.write(`${out}\n`);
}

const optionNames: Record<SweptOption, string> = { mode: "mode", steps: "steps", tokens: "tokens", merge: "merge", lastSteps: "last steps", layers: "layers" };

/** The resolution of a set of layers, where they have one. */
function sidesOf({ layers }: SweptSettings, configuration: SweepConfiguration): string {
  if (layers === "all") return "";
  const sides = new Set(layers.map((layer) => configuration.layers[layer].side));
  const [side] = sides;
  return sides.size === 1 ? ` (${side}x${side})` : "";
}

function describe(settings: SweptSettings): string {
  return (Object.keys(optionNames) as SweptOption[]).map((option) => `${optionNames[option]} ${shownValue(settings[option])}`).join(", ");
}
