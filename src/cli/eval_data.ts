import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { relative } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type DatasetName, datasetNames } from "../data/layouts/find_node.ts";
import { type DataSample, type Split, splits } from "../data/layouts/layout.ts";
import { openDataset } from "../data/layouts/open_node.ts";
import { InputError } from "../errors.ts";
import { type PlannedRow, type Shard, chooseSamples, planRows } from "../eval/plan.ts";
import { rowKey } from "../eval/row.ts";
import type { DataDescription } from "../eval/run_folder_node.ts";
import { log } from "./command.ts";
import { type EvalData, type EvalWork, leaveOut } from "./eval_run.ts";
import { wholeNumber } from "./numbers.ts";

/** Which data set, and which part of it. */
export interface DataOptions {
  dataset?: DatasetName;
  data?: string;
  images?: string;
  split?: Split;
  limit?: number;
  shard?: Shard;
}

/** Adds the options of what goes through a data set. @param merging the command that joins shards */
export function addDataOptions(command: Command, merging: string): Command {
  return command
    .addOption(new Option("--dataset <name>", "what the data is").choices(datasetNames))
    .option("--data <folder>", "the data set's folder, or its table")
    .option("--images <folder>", "where the paths of the images start (default: the folder of the table)")
    .addOption(new Option("--split <name>", "only this split (default: all)").choices(splits))
    .option("--limit <n>", "only the first n samples", wholeNumber(1))
    .option("--shard <i/n>", `only part i of n, to be joined with ${merging}`, shardOf);
}

/** Reads the data set and plans the rows of a run. @throws InputError where there is nothing to do */
export async function planRun(options: DataOptions, work: EvalWork, settings: { controls: boolean; seed: number }): Promise<{ data: EvalData; rows: PlannedRow[] }> {
  const data = await readData(options, work);
  const rows = planRows(data.samples, chooseSamples(data.samples, options), settings);
  if (rows.length === 0) throw new InputError("--shard", `part ${options.shard?.index} has no film; the data set has fewer films than parts`);
  await checkImages(rows.map(({ sample }) => data.samples[sample].imagePath));
  return { data, rows };
}

/** The rows that a run's folder does not have yet. */
export function rowsLeft(rows: readonly PlannedRow[], folder: { rows: readonly Parameters<typeof rowKey>[0][] }): PlannedRow[] {
  const known = new Set(folder.rows.map(rowKey));
  if (known.size > 0) log(`${known.size} of ${rows.length} rows are there already`);
  return rows.filter((row) => !known.has(rowKey(row)));
}

/** The samples that have boxes. What is wrong with others is told. */
async function readData({ dataset, data, images, split }: DataOptions, work: EvalWork): Promise<EvalData> {
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

/** What a run says of its data: by it the same data are known again. */
export function describeData({ samples, imageName }: EvalData, { dataset, split }: DataOptions): DataDescription {
  const hash = createHash("sha256");
  for (const sample of samples) hash.update(JSON.stringify([imageName(sample), sample.caption, sample.label, sample.boxes]));
  return { dataset: dataset as DatasetName, split, samples: samples.length, sha256: hash.digest("hex") };
}

function shardOf(text: string): Shard {
  const [, index, total] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (!(index >= 1 && index <= total)) throw new InvalidArgumentError("Give the part and their number, such as 1/4 to 4/4.");
  return { index, count: total };
}
