import type { Command } from "commander";
import { type EvalRun, type RunConfiguration, mergeRuns } from "../eval/run_folder_node.ts";
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
  noteMissing(run, rows);
  if (json) printJson(results);
  else printEvalResults(results);
}

/** Says where a joined run lacks samples, and why as far as its shards tell. */
export function noteMissing({ configuration: { limit = Infinity, data }, shards, sessions }: EvalRun<RunConfiguration>, rows: readonly { sample: number }[]): void {
  const samples = new Set(rows.map(({ sample }) => sample)).size;
  const expected = Math.min(limit, data.samples);
  if (samples >= expected) return;
  const [{ count } = { count: 0 }] = shards;
  const absent = Array.from({ length: count }, (_, i) => i + 1).filter((index) => !shards.some((shard) => shard.index === index));
  const reasons = [
    ...(absent.length > 0 ? [`of ${count} shards, ${absent.join(", ")} ${absent.length === 1 ? "is" : "are"} missing`] : []),
    ...(sessions.some(({ leftOut }) => leftOut.length > 0) ? ["run.json names what was left out"] : []),
  ];
  log(`note: ${samples} of ${expected} samples are there: ${reasons.join("; ") || "a shard is not finished"}`);
}
