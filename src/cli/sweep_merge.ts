import type { Command } from "commander";
import { mergeRuns } from "../eval/run_folder_node.ts";
import { settingsOf } from "../sweep/settings.ts";
import type { SweepRow } from "../sweep/sweep_row.ts";
import { createCommand, printJson } from "./command.ts";
import { noteMissing } from "./eval_merge.ts";
import { printSweepResults, writeSweepResults } from "./sweep_results.ts";
import type { SweepConfiguration } from "./sweep_run.ts";

/** `sweep merge RUN… --out DIR`. */
export function sweepMergeCommand(): Command {
  return createCommand("merge", "join the shards of a sweep", "sweep merge sweep-1 sweep-2 --out sweep")
    .argument("<run...>", "folders of sweeps with the same grid")
    .requiredOption("--out <folder>", "where to put the whole sweep")
    .configureHelp({ showGlobalOptions: false })
    .action(merge);
}

async function merge(paths: readonly string[], { out, json }: { out: string; json?: boolean }): Promise<void> {
  const { run, rows } = await mergeRuns<SweepRow, SweepConfiguration>(paths, out);
  const { grid, layers } = run.configuration;
  const results = await writeSweepResults({ out, run, rows, settings: settingsOf(grid, layers) });
  noteMissing(run, rows);
  if (json) printJson(results);
  else printSweepResults(results);
}
