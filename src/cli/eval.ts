import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { basename, relative } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type DatasetName, datasetNames } from "../data/layouts/find_node.ts";
import { type DataSample, type Split, splits } from "../data/layouts/layout.ts";
import { openDataset } from "../data/layouts/open_node.ts";
import { InputError } from "../errors.ts";
import { type Shard, chooseSamples, planRows } from "../eval/plan.ts";
import { rowKey } from "../eval/row.ts";
import { type EvalConfiguration, type RunFolder, openRunFolder } from "../eval/run_folder_node.ts";
import { type GroundSettings, completeSettings, defaultSettings } from "../grounding/options.ts";
import { createCommand, exitCodes, interruptSignal, log, printJson } from "./command.ts";
import { evalMergeCommand } from "./eval_merge.ts";
import { printEvalResults, printThroughput, writeEvalResults } from "./eval_results.ts";
import { type EvalData, type EvalWork, type Evaluation, evaluate, leaveOut } from "./eval_run.ts";
import { type RunOptions, addMethodOptions, addRunOptions } from "./ground_options.ts";
import { noWork } from "./ground_run.ts";
import { openSession, withMemoryAdvice } from "./ground_session.ts";
import { version } from "./package.ts";

/** What `eval` takes, as commander parses it. */
export interface EvalOptions extends RunOptions, Partial<GroundSettings> {
  dataset?: DatasetName;
  data?: string;
  images?: string;
  split?: Split;
  limit?: number;
  shard?: Shard;
  controls?: boolean;
}

/** `eval --dataset NAME --data DIR` and `eval merge`. */
export function evalCommand(): Command {
  const command = createCommand("eval", "a whole test set: metrics of every sample, by finding, averages", "eval --dataset ms-cxr --data ms-cxr --images mimic-cxr-jpg --model DIR --out run");
  command
    .addOption(new Option("--dataset <name>", "what the data is").choices(datasetNames))
    .option("--data <folder>", "the data set's folder, or its table")
    .option("--images <folder>", "where the paths of the images start (default: the folder of the table)")
    .addOption(new Option("--split <name>", "only this split (default: all)").choices(splits))
    .option("--limit <n>", "only the first n samples", sampleCount)
    .option("--shard <i/n>", "only part i of n, to be joined with eval merge", shardOf)
    .option("--controls", "also ground a wrong phrase and the finding's name alone, and lay that one's map over another film");
  addMethodOptions(addRunOptions(command, { steps: defaultSettings.steps, out: "attnscope-eval" }));
  // Options behind the name of a subcommand are its own.
  return command.enablePositionalOptions().addCommand(evalMergeCommand()).action(runEval);
}

async function runEval(options: EvalOptions): Promise<void> {
  const signal = interruptSignal();
  const work: EvalWork = { ...noWork(), phrases: 0, warnings: [], leftOut: [] };
  const { settings, batch } = evalSettings(options);
  const data = await readData(options, work);
  const controls = options.controls ?? false;
  const rows = planRows(data.samples, chooseSamples(data.samples, options), { controls, seed: settings.seed });
  if (rows.length === 0) throw new InputError("--shard", `part ${options.shard?.index} has no film; the data set has fewer films than parts`);
  await checkImages(rows.map(({ sample }) => data.samples[sample].imagePath));
  const session = await openSession(options, signal);
  try {
    const { ldm } = session.pipeline;
    completeSettings({ ...settings, tokens: "all" }, ldm.unet.crossAttentions.length);
    const { dataset, split, limit, shard } = options;
    const configuration: EvalConfiguration = {
      version,
      model: { sha256: ldm.sha256, dtype: ldm.dtype },
      data: { dataset: dataset as DatasetName, split, samples: data.samples.length, sha256: fingerprint(data) },
      settings,
      controls,
      limit,
    };
    const folder = await openRunFolder(options.out, { configuration, model: basename(ldm.name), shards: shard ? [shard] : [] });
    const known = new Set(folder.rows.map(rowKey));
    if (known.size > 0) log(`${known.size} of ${rows.length} rows are there already`);
    const left = rows.filter((row) => !known.has(rowKey(row)));
    await withMemoryAdvice(options, () => finishRun({ data, rows: left, settings: { ...settings, batch, perWord: false }, session, signal, work }, folder, options));
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

/** Does the rows that are left, and writes the results of all that the folder then has, whatever ended the work. */
async function finishRun(evaluation: Evaluation, folder: RunFolder, { json }: EvalOptions): Promise<void> {
  const { session, signal, work } = evaluation;
  const { device, description } = session.pipeline.ldm.gpu.adapter;
  const started = new Date();
  const record = () => {
    const { timings: _, ...done } = work;
    return folder.record({ adapter: device, driver: description, started: started.toISOString(), seconds: (Date.now() - started.getTime()) / 1000, ...done });
  };
  await record();
  try {
    await evaluate(evaluation, folder);
  } catch (error) {
    if (!(signal.aborted && (error as Error).name === "AbortError")) throw error;
  } finally {
    const results = await record().then((run) => writeEvalResults(folder.path, run, folder.rows)).finally(() => folder.close());
    if (json) printJson(results);
    else {
      printThroughput(results.run);
      printEvalResults(results);
    }
  }
}

/** The samples that have boxes. What is wrong with others is told. */
async function readData({ dataset, data, images, split }: EvalOptions, work: EvalWork): Promise<EvalData> {
  if (!dataset) throw new InputError("--dataset", `is missing; name one of ${datasetNames.join(", ")}`);
  if (!data) throw new InputError("--data", "is missing; name the data set's folder, or its table");
  const found = await openDataset(data, { dataset, images, split, onProblem: ({ file, line, fact }) => leaveOut(work, `${file}:${line}: ${fact}`) });
  const samples: DataSample[] = [];
  for await (const sample of found) samples.push(sample);
  if (samples.length === 0) throw new InputError(found.file, `has no sample that can be used${split ? ` in the split ${split}` : ""}; attnscope data check lists what is wrong`);
  if (samples.every(({ boxes }) => boxes.length === 0)) throw new InputError(found.file, "has no boxes to measure maps against; evaluate MS-CXR, ChestX-ray14, a phantom, or films of your own");
  return { samples, imageName: ({ imagePath }) => relative(images ?? found.folder, imagePath).replaceAll("\\", "/") };
}

/** Finds out before the model is loaded where no image is there at all. */
async function checkImages(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (await access(path).then(() => true, () => false)) return;
  throw new InputError(paths[0], "no such file, nor is any other image there; say with --images where their paths start");
}

/** SHA-256 of all that rows are made of, besides the films' pixels. */
function fingerprint({ samples, imageName }: EvalData): string {
  const hash = createHash("sha256");
  for (const sample of samples) hash.update(JSON.stringify([imageName(sample), sample.caption, sample.label, sample.boxes]));
  return hash.digest("hex");
}

function sampleCount(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("It is not a whole number of 1 or more.");
  return value;
}

function shardOf(text: string): Shard {
  const [, index, total] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (!(index >= 1 && index <= total)) throw new InvalidArgumentError("Give the part and their number, such as 1/4 to 4/4.");
  return { index, count: total };
}
