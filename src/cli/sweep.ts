import { basename, join } from "node:path";
import type { Command } from "commander";
import { InputError } from "../errors.ts";
import { openRunFolder } from "../eval/run_folder_node.ts";
import { captureLayers } from "../grounding/map_sink.ts";
import { completeSettings } from "../grounding/options.ts";
import { type SweepGrid, completeGrid } from "../sweep/grid.ts";
import { settingsOf } from "../sweep/settings.ts";
import type { SweepRow } from "../sweep/sweep_row.ts";
import { createCommand, exitCodes, interruptSignal, log, printJson } from "./command.ts";
import { addDataOptions, describeData, planRun, rowsLeft } from "./eval_data.ts";
import { printThroughput } from "./eval_results.ts";
import type { EvalWork, Evaluation } from "./eval_run.ts";
import { addRunOptions } from "./ground_options.ts";
import { noWork } from "./ground_run.ts";
import { openSession, withMemoryAdvice } from "./ground_session.ts";
import { version } from "./package.ts";
import { recordWork } from "./recorded_work.ts";
import { sweepMergeCommand } from "./sweep_merge.ts";
import { type SweepOptions, addGridOptions, addSearchOptions } from "./sweep_options.ts";
import { printSweepResults, writeSweepResults } from "./sweep_results.ts";
import { type SweepConfiguration, type SweepFolder, type SweepPlan, sweepSamples } from "./sweep_run.ts";
import { type LayerSearch, searchFolder } from "./sweep_search.ts";

/** `sweep --dataset NAME --data DIR` and `sweep merge`. */
export function sweepCommand(): Command {
  const command = createCommand("sweep", "a test set under many settings at once: what differs after capture shares one pass over the U-Net", "sweep --dataset ms-cxr --data ms-cxr --images mimic-cxr-jpg --model DIR --out sweep");
  addDataOptions(command, "sweep merge");
  addSearchOptions(addGridOptions(addRunOptions(command, { out: "attnscope-sweep" })));
  // Options behind the name of a subcommand are its own.
  return command.enablePositionalOptions().addCommand(sweepMergeCommand()).action(runSweep);
}

async function runSweep(options: SweepOptions): Promise<void> {
  const signal = interruptSignal();
  if (options.search !== undefined && !options.means) throw new InputError("--search", "works on the means that --no-means does not keep; leave one of the two out");
  const work: EvalWork = { ...noWork(), phrases: 0, warnings: [], leftOut: [] };
  const wanted = gridOf(options, Infinity);
  const { data, rows } = await planRun(options, work, { controls: false, seed: wanted.seed });
  const session = await openSession(options, signal);
  try {
    const { ldm } = session.pipeline;
    const { batch, ...grid } = gridOf(options, ldm.unet.crossAttentions.length);
    const layers = captureLayers(ldm.unet, ldm.vae.config.sampleSize / ldm.vae.factor, "all");
    const configuration: SweepConfiguration = { version, model: { sha256: ldm.sha256, dtype: ldm.dtype }, data: describeData(data, options), grid, layers, limit: options.limit };
    const folder = await openRunFolder<SweepRow, SweepConfiguration>(options.out, { configuration, model: basename(ldm.name), shards: options.shard ? [options.shard] : [] });
    const plan: SweepPlan = { grid: { ...grid, batch }, settings: settingsOf(wanted, layers), meansFolder: options.means ? join(folder.path, "means") : undefined };
    log(`${plan.settings.length} settings a sample, from ${grid.modes.length * grid.steps.length} passes`);
    await withMemoryAdvice(options, () => finishSweep({ data, rows: rowsLeft(rows, folder), settings: sharedSettings(plan.grid), session, signal: AbortSignal.any([signal, folder.lost]), work }, folder, plan, options));
  } finally {
    session.close();
  }
  signal.throwIfAborted();
  if (work.leftOut.length > 0) process.exitCode = exitCodes.badInput;
}

function gridOf({ mode: modes, merge: merges, steps, tokens, lastSteps, layers, guidance, seed, reading, batch }: SweepOptions, layerCount: number): SweepGrid {
  return completeGrid({ modes, merges, steps, tokens, lastSteps, layers, guidance, seed, reading, batch }, layerCount);
}

/** What all settings have in common, for what an evaluation does before its passes. */
function sharedSettings({ guidance, seed, reading, batch }: SweepGrid): Evaluation["settings"] {
  return completeSettings({ guidance, seed, reading, batch, tokens: "all" }, Infinity);
}

/** Does the rows that are left and the layer search, and writes the results of all that the folder then has. */
async function finishSweep(evaluation: Evaluation, folder: SweepFolder, plan: SweepPlan, options: SweepOptions): Promise<void> {
  let search: LayerSearch | undefined;
  const doWork = async () => {
    await sweepSamples(evaluation, plan, folder);
    if (options.search !== undefined) search = await searchFolder(folder, evaluation, plan, options);
  };
  await recordWork(evaluation, folder, doWork, async (run, end) => {
    const results = await writeSweepResults({ out: folder.path, run, rows: folder.rows, settings: plan.settings, search, end });
    if (options.json) return printJson(results);
    printThroughput(run);
    printSweepResults(results);
  });
}
