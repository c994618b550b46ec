import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Command, Option } from "commander";
import { checkDataset, type CheckReport } from "../data/layouts/check_node.ts";
import { type DatasetFile, type DatasetName, datasetNames, expectedFiles, findDatasets } from "../data/layouts/find_node.ts";
import type { DataProblem } from "../data/layouts/layout.ts";
import { plainLayout } from "../data/layouts/plain.ts";
import { writePhantomDataset } from "../data/layouts/write_phantom_node.ts";
import { captionVocabulary } from "../data/phantom/captions.ts";
import { InputError } from "../errors.ts";
import { CheckFailed, createCommand, interruptSignal, log, printJson } from "./command.ts";
import { wholeNumber } from "./numbers.ts";
import { createProgress } from "./progress.ts";
import { precomputeCommand } from "./precompute.ts";

/** `data phantom|check|precompute`. */
export function dataCommand(): Command {
  return new Command("data")
    .description("make the synthetic data set, check a real one, encode one for training")
    .addHelpText("after", "\nExample:\n  $ attnscope data phantom --count 10000 --seed 1 --out phantom")
    .addCommand(phantomCommand())
    .addCommand(checkCommand())
    .addCommand(precomputeCommand());
}

interface PhantomOptions {
  out: string;
  count: number;
  validate: number;
  test: number;
  seed: number;
  size: number;
  json?: boolean;
}

function phantomCommand(): Command {
  return createCommand("phantom", "draw synthetic radiographs with phrases and boxes, the same on every platform", "data phantom --count 10000 --seed 1 --out phantom")
    .requiredOption("--out <folder>", "where to put the data set; an interrupted run goes on in it")
    .option("--count <n>", "films to train on", wholeNumber(0), 10_000)
    .option("--validate <n>", "films to validate on", wholeNumber(0), 200)
    .option("--test <n>", "films of each test set: as the training's, with one finding, with two", wholeNumber(0), 200)
    .option("--seed <n>", "seed of all films", wholeNumber(0), 0)
    .option("--size <pixels>", "side of the films", wholeNumber(0), 128)
    .action(makePhantom);
}

async function makePhantom({ out, count, validate, test, seed, size, json }: PhantomOptions): Promise<void> {
  if (count + validate + test === 0) throw new InputError("--count, --validate and --test", "are all 0; there is nothing to draw");
  const progress = createProgress();
  const counts = { train: count, validate, test, single: test, pairs: test };
  const onProgress = (set: string, done: number, total: number) => progress.update(`${set} films, ${done} of ${total}`, done, total);
  try {
    const summary = await writePhantomDataset(out, { seed, size, counts }, { onProgress, signal: interruptSignal() });
    progress.stop();
    const rate = summary.drawn / summary.seconds;
    if (json) printJson({ out, seed, size, counts, ...summary, filmsPerSecond: rate, vocabulary: captionVocabulary().length });
    else log(`${out}: ${summary.films} films of ${size} x ${size}, ${summary.drawn} drawn now (${rate.toFixed(0)} a second), ${captionVocabulary().length} words`);
  } finally {
    progress.stop();
  }
}

interface CheckCommandOptions {
  dataset?: DatasetName;
  images?: string;
  decode: boolean;
  json?: boolean;
}

function checkCommand(): Command {
  return createCommand("check", "list all that is wrong with a data set: MIMIC-CXR-JPG, MS-CXR, ChestX-ray14, or a CSV file of one's own", "data check ms-cxr --images mimic-cxr-jpg")
    .argument("<dir>", "the folder of the data set, of several, or its table")
    .addOption(new Option("--dataset <name>", "what it is (default: as its table is called)").choices(datasetNames))
    .option("--images <folder>", "where the paths of the images start (default: the folder of the table)")
    .option("--no-decode", "look whether the image files are there without decoding them")
    .action(check);
}

async function check(location: string, { dataset: name, images, decode, json }: CheckCommandOptions): Promise<void> {
  const signal = interruptSignal();
  const reports: (CheckReport & { layout: string; file: string; problemList: DataProblem[] })[] = [];
  for (const dataset of await datasetsAt(location, name)) {
    const problemList: DataProblem[] = [];
    const report = await withProgress(dataset.file, (onProgress) =>
      checkDataset(dataset, {
        images,
        decode,
        signal,
        onProgress,
        onProblem(problem) {
          problemList.push(problem);
          if (!json) printLine(`${problem.file}:${problem.line}: ${problem.fact}`);
        },
      }),
    );
    reports.push({ layout: dataset.layout.name, file: dataset.file, ...report, problemList });
  }
  const problems = reports.reduce((sum, report) => sum + report.problems, 0);
  if (json) printJson({ problems, datasets: reports.map(({ problemList, ...report }) => ({ ...report, problems: problemList })) });
  else for (const report of reports) printLine(summaryLine(report));
  if (problems > 0) throw new CheckFailed(`${problems} problems`);
}

async function withProgress<T>(label: string, work: (onProgress: (done: number, total: number) => void) => Promise<T>): Promise<T> {
  const progress = createProgress();
  try {
    return await work((done, total) => progress.update(label, done, total));
  } finally {
    progress.stop();
  }
}

/** The data sets of a folder, or where it has none, those of the folders in it that are not plain ones. */
async function datasetsAt(location: string, name?: DatasetName): Promise<DatasetFile[]> {
  const own = await findDatasets(location, name);
  if (own.length > 0) return own;
  const isFile = (await stat(location)).isFile();
  const entries = isFile ? [] : await readdir(location, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(location, entry.name));
  const inside = (await Promise.all(folders.sort().map((folder) => findDatasets(folder, name)))).flat().filter(({ layout }) => layout !== plainLayout);
  if (inside.length === 0) throw new InputError(location, `holds no data set of a known layout; it needs ${expectedFiles(name)}`);
  return inside;
}

function summaryLine({ layout, file, samples, images, boxes, problems }: CheckReport & { layout: string; file: string }): string {
  const counts = [`${samples} samples`, `${images} images`, ...(boxes > 0 ? [`${boxes} boxes`] : [])].join(", ");
  return `${file}: ${layout}, ${counts}, ${problems === 0 ? "no problems" : `${problems} problem${problems === 1 ? "" : "s"}`}`;
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}
