import type { Command } from "commander";
import { type RunConfiguration, mergeRuns } from "../eval/run_folder_node.ts";
import { createCommand, log, printJson } from "./command.ts";
import { printEvalResults, writeEvalResults } from "./eval_results.ts";

/** `eval merge RUN… --out DIR`. */
export function evalMergeCommand(): Command {
  return createCommand("merge", "join the shards of an evaluation", "eval merge run-1 run-2 --out run")
    .argument("<run...>", "folders of runs with the same settings")
    .requiredOption("--out <folder>", "where to put the whole run")
    .configureHelp({ showGlobalOptions: false })
    .action(merge);
}

async function merge(paths: readonly string[], { out, json }: { out: string; json?: boolean }): Promise<void> {
  const { run, rows } = await mergeRuns(paths, out);
  const results = await writeEvalResults(out, run, rows);
  noteMissing(run.configuration, rows);
  if (json) printJson(results);
  else printEvalResults(results);
}

/** Says where shards of a run are missing. */
export function noteMissing({ limit = Infinity, data }: RunConfiguration, rows: readonly { sample: number }[]): void {
  const samples = new Set(rows.map(({ sample }) => sample)).size;
  const expected = Math.min(limit, data.samples);
  if (samples < expected) log(`note: ${samples} of ${expected} samples are there: a shard is missing or not finished`);
}
