import { basename } from "node:path";
import type { Command } from "commander";
import { type EvalConfiguration, type RunFolder, openRunFolder } from "../eval/run_folder_node.ts";
import { type GroundSettings, completeSettings, defaultSettings } from "../grounding/options.ts";
import { createCommand, exitCodes, interruptSignal, printJson } from "./command.ts";
import { type DataOptions, addDataOptions, describeData, planRun, rowsLeft } from "./eval_data.ts";
import { evalMergeCommand } from "./eval_merge.ts";
import { printEvalResults, printThroughput, writeEvalResults } from "./eval_results.ts";
import { type EvalWork, type Evaluation, evaluate } from "./eval_run.ts";
import { type RunOptions, addMethodOptions, addRunOptions, addStepsOption } from "./ground_options.ts";
import { noWork } from "./ground_run.ts";
import { openSession, withMemoryAdvice } from "./ground_session.ts";
import { version } from "./package.ts";
import { recordWork } from "./recorded_work.ts";

/** What `eval` takes, as commander parses it. */
export interface EvalOptions extends DataOptions, RunOptions, Partial<GroundSettings> {
  controls?: boolean;
}

/** `eval --dataset NAME --data DIR` and `eval merge`. */
export function evalCommand(): Command {
  const command = createCommand("eval", "a whole test set: metrics of every sample, by finding, averages", "eval --dataset ms-cxr --data ms-cxr --images mimic-cxr-jpg --model DIR --out run");
  addDataOptions(command, "eval merge").option("--controls", "also ground a wrong phrase and the finding's name alone, and lay that one's map over another film");
  addMethodOptions(addStepsOption(addRunOptions(command, { out: "attnscope-eval" }), defaultSettings.steps));
  // Options behind the name of a subcommand are its own.
  return command.enablePositionalOptions().addCommand(evalMergeCommand()).action(runEval);
}

async function runEval(options: EvalOptions): Promise<void> {
  const signal = interruptSignal();
  const work: EvalWork = { ...noWork(), phrases: 0, warnings: [], leftOut: [] };
  const { settings, batch } = evalSettings(options);
  const controls = options.controls ?? false;
  const { data, rows } = await planRun(options, work, { controls, seed: settings.seed });
  const session = await openSession(options, signal);
  try {
    const { ldm } = session.pipeline;
    completeSettings({ ...settings, tokens: "all" }, ldm.unet.crossAttentions.length);
    const { limit, shard } = options;
    const configuration: EvalConfiguration = { version, model: { sha256: ldm.sha256, dtype: ldm.dtype }, data: describeData(data, options), settings, controls, limit };
    const folder = await openRunFolder(options.out, { configuration, model: basename(ldm.name), shards: shard ? [shard] : [] });
    await withMemoryAdvice(options, () => finishRun({ data, rows: rowsLeft(rows, folder), settings: { ...settings, batch, perWord: false }, session, signal: AbortSignal.any([signal, folder.lost]), work }, folder, options));
  } finally {
    session.close();
  }
  signal.throwIfAborted();
  if (work.leftOut.length > 0) process.exitCode = exitCodes.badInput;
}

/** The settings that results depend on, and the batch. */
function evalSettings(options: EvalOptions): { settings: EvalConfiguration["settings"]; batch: GroundSettings["batch"] } {
  // With disease filtering every sample brings its own label.
  const { batch, perWord: _, label: __, ...settings } = completeSettings({ ...options, label: "the sample's own" }, Infinity);
  return { settings, batch };
}

/** Does the rows that are left, and writes the results of all that the folder then has. */
async function finishRun(evaluation: Evaluation, folder: RunFolder, { json }: EvalOptions): Promise<void> {
  await recordWork(evaluation, folder, () => evaluate(evaluation, folder), async (run, end) => {
    const results = await writeEvalResults(folder.path, run, folder.rows, end);
    if (json) return printJson(results);
    printThroughput(results.run);
    printEvalResults(results);
  });
}
