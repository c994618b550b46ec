import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import type { Box } from "../data/preprocess.ts";
import { InputError } from "../errors.ts";
import { defaultSettings } from "../grounding/options.ts";
import { describePoint } from "../report/film_coordinates.ts";
import { savingsRows } from "../report/savings_rows.ts";
import { createCommand, exitCodes, interruptSignal, log, printJson } from "./command.ts";
import type { FilmTask } from "./film_tasks.ts";
import { readFilmsFile } from "./films_file.ts";
import { type GroundCommandOptions, addMethodOptions, addRunOptions, addStepsOption, checkedSettings } from "./ground_options.ts";
import { type FinishedResult, type GroundRun, groundFilms, shortened } from "./ground_run.ts";

/** `ground IMAGE… --phrase TEXT…`. */
export function groundCommand(): Command {
  const command = createCommand("ground", "maps, masks, boxes and pictures of where each phrase points", "ground film.png --phrase \"left pleural effusion\" \"cardiomegaly\"");
  command
    .argument("[image...]", "PNG, JPEG or DICOM files")
    .requiredOption("--phrase <text...>", "what to look for; every phrase is grounded in every image")
    .option("--label <name>", "the disease of --tokens disease, such as \"Pleural Effusion\"")
    .option("--per-word", "also make a map of every word: words.png")
    .option("--dicom", "also write overlay.dcm (secondary capture) and segmentation.dcm; nothing of a source's headers goes in")
    .option("--boxes <file>", "JSON with reference boxes to draw: [{\"image\": \"film.png\", \"boxes_xywh\": [[x, y, w, h]]}]");
  return addMethodOptions(addStepsOption(addRunOptions(command), defaultSettings.steps)).action(ground);
}

async function ground(images: readonly string[], options: GroundCommandOptions): Promise<void> {
  if (images.length === 0) throw new InputError("IMAGE", "no image is named; put the images before --phrase, which takes all that follows");
  const settings = checkedSettings(options);
  const tasks = await tasksOf(images, options);
  const signal = interruptSignal();
  const run = await groundFilms({ tasks, settings, options, signal, onResult: options.json ? undefined : printResult });
  if (options.json) printJson(runObject(run));
  else printSummary(run);
  finish(run, signal);
}

/** Every image with every phrase; what was named twice is done once. */
async function tasksOf(images: readonly string[], { phrase, boxes }: GroundCommandOptions): Promise<FilmTask[]> {
  const paths = [...new Map(images.map((path) => [resolve(path), path])).values()];
  const boxesOf = boxes ? await readBoxes(boxes, paths) : () => [];
  return paths.map((path) => ({ path, phrases: [...new Set(phrase)], boxes: boxesOf(path) }));
}

/** The boxes of each image: its path is taken from the file's folder; a name alone serves where only one image bears it. */
async function readBoxes(file: string, paths: readonly string[]): Promise<(path: string) => readonly Box[]> {
  const films = await readFilmsFile(file);
  const find = (path: string) => {
    const isUnique = paths.filter((other) => basename(other) === basename(path)).length === 1;
    const atPath = films.find(({ image }) => resolve(dirname(file), image) === resolve(path));
    return atPath ?? (isUnique ? films.find(({ image }) => image === basename(path)) : undefined);
  };
  return (path) => {
    const film = find(path);
    if (!film) log(`note: ${file} has no boxes for ${path}`);
    return film?.boxes ?? [];
  };
}

function printResult({ path, record }: FinishedResult): void {
  const { phrase, argmax, reference, boxes, s, image } = record;
  const verdict = reference ? (reference.peakInside ? " in the box" : " outside the box") : "";
  const facts = [
    `peak ${describePoint(argmax.film, image)} (of ${image.width} x ${image.height})${verdict}`,
    `${boxes.length} region${boxes.length === 1 ? "" : "s"}`,
    ...(s === undefined ? [] : [`s ${s.toFixed(3)}`]),
  ];
  log(`${path}: ${shortened(phrase)}: ${facts.join(", ")}`);
}

/** Savings and the path of the report. */
export function printSummary(run: GroundRun): void {
  if (!run.report) return;
  log("against the published procedure:");
  for (const { what, taken, published, saved } of savingsRows(run.cost)) log(`  ${what}: ${taken} instead of ${published}, ${saved} saved`);
  process.stdout.write(`${run.report}\n`);
}

/** What `--json` prints: every result's record and the run's own facts. */
export function runObject({ results, timings, ...run }: GroundRun): object {
  return { ...run, timings, results: results.map(({ folder, path, record }) => ({ folder, path, ...record })) };
}

/** Ends a command: with the interruption, where there was one, or the exit code for films that were left out. */
export function finish({ failures, results }: GroundRun, signal: AbortSignal): void {
  signal.throwIfAborted();
  if (failures.length === 0) return;
  if (results.length > 0) log(`attnscope: ${failures.length} image${failures.length === 1 ? "" : "s"} could not be used; the results of the others are kept`);
  process.exitCode = exitCodes.badInput;
}
