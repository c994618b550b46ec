import type { Command } from "commander";
import { mergeRuns } from "../eval/run_folder_node.ts";
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
  const { limit = Infinity, data } = run.configuration;
  const samples = new Set(rows.map(({ sample }) => sample)).size;
  const expected = Math.min(limit, data.samples);
  if (samples < expected) log(`note: ${samples} of ${expected} samples are there: a shard is missing or not finished`);
  if (json) printJson(results);
  else printEvalResults(results);
}
