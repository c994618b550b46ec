import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { toCsv } from "../data/layouts/csv_node.ts";
import { writeFilmPng, writePng, writeWordsPng } from "../data/write_node.ts";
import { InputError } from "../errors.ts";
import { type GeneratedImage, defaultGuidance } from "../grounding/generate.ts";
import { type GroundSettings, completeSettings, defaultSettings } from "../grounding/options.ts";
import type { LatentDiffusion } from "../models/ldm.ts";
import { formatDuration } from "../report/numbers.ts";
import { firstDifference } from "../runs/first_difference.ts";
import { lockRun } from "../runs/run_lock_node.ts";
import { makeFolders, writeFileAtomically } from "../weights/atomic_file_node.ts";
import { parseJson } from "../weights/byte_source.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { type PromptOptions, type PromptTask, planImages } from "./generate_prompts.ts";
import { type RunOptions, addModelOptions, addStepsOption } from "./ground_options.ts";
import { number, wholeNumber } from "./numbers.ts";
import { type Session, openSession, withMemoryAdvice } from "./ground_session.ts";
import { version } from "./package.ts";
import { createProgress } from "./progress.ts";
import { writeText } from "./result_files.ts";

/** What `generate` takes, as commander parses it. */
interface GenerateCommandOptions extends Omit<RunOptions, "cache">, PromptOptions, Pick<GroundSettings, "steps" | "guidance" | "batch" | "perWord"> {}

const placesHelp = `
Below --out:
  images/<prompt>/<seed>.png     the images; one that is there is not made again
  attention/, words/             the same names, with --per-word: where the words looked while the image was made
  images.csv                     path, prompt and seed of every image`;

/** `generate --prompt TEXT…`. */
export function generateCommand(): Command {
  const command = createCommand("generate", "text to image by DDIM with classifier-free guidance", "generate --prompt \"small left pleural effusion\" \"cardiomegaly\" --count 4 --out generated");
  command
    .option("--prompt <text...>", "what to show")
    .option("--prompts <file>", "CSV file with a column prompt, phrase, text, caption, label_text or impression, and perhaps one of seeds")
    .option("--count <n>", "images of every prompt", wholeNumber(1), 1)
    .addOption(new Option("--guidance <scale>", "guidance scale; 1 leaves the unconditional branch out").argParser(number).default(defaultGuidance))
    .option("--per-word", "also save the attention of every word over the image")
    .addHelpText("after", placesHelp);
  return addStepsOption(addModelOptions(command, "attnscope-generated"), defaultSettings.steps).action(generate);
}

/** What a run has made. */
interface GenerateReport {
  out: string;
  images: PromptTask[];
  made: number;
  /** Images that were there already. */
  kept: number;
  seconds: number;
}

async function generate(options: GenerateCommandOptions): Promise<void> {
  const signal = interruptSignal();
  completeSettings({ steps: options.steps, guidance: options.guidance, seed: options.seed, batch: options.batch }, Infinity);
  const tasks = await planImages(options);
  const lost = new AbortController();
  const unlock = await lockRun(options.out, "generated", (error) => lost.abort(error));
  try {
    const session = await openSession({ ...options, cache: false }, signal);
    try {
      await checkSameRun(options, session.pipeline.ldm);
      noteCut(tasks, session.pipeline.ldm);
      await withMemoryAdvice({ ...options, cache: false }, () => makeImages(tasks, options, session.pipeline, { signal, lost: lost.signal }));
    } finally {
      session.close();
    }
  } finally {
    await unlock();
  }
  signal.throwIfAborted();
}

/** What images depend on besides prompt and seed: a folder has those of one model and one way of making them. */
async function checkSameRun({ out, steps, guidance }: GenerateCommandOptions, { sha256, dtype, name }: LatentDiffusion): Promise<void> {
  const path = join(out, "generate.json");
  const run = { version, model: { sha256, dtype }, steps, guidance };
  const text = await readFile(path, "utf8").catch(() => undefined);
  const difference = text === undefined ? undefined : firstDifference((parseJson(path, text) as { run: unknown }).run, run);
  if (difference) throw new InputError(path, `is of another run: ${difference}; give the same options, or another --out`);
  if (text === undefined) await writeText(path, `${JSON.stringify({ run, model: name }, null, 2)}\n`);
}

/** Says how many prompts the text encoder does not read to their end. */
function noteCut(tasks: readonly PromptTask[], { tokenizer }: LatentDiffusion): void {
  const cut = [...new Set(tasks.map(({ prompt }) => prompt))].filter((prompt) => tokenizer.encode(prompt).truncated);
  if (cut.length > 0) log(`note: ${cut.length} prompt${cut.length === 1 ? " has" : "s have"} more tokens than the ${tokenizer.length} that the text encoder reads; the rest is cut off: ${JSON.stringify(cut[0])}`);
}

/** What ends the work: an interruption, or (`lost`) that another process has taken the folder. */
interface Ends {
  signal: AbortSignal;
  lost: AbortSignal;
}

/** Makes what is missing; whatever ends the work, the table then has all that is there, unless the folder is another's. */
async function makeImages(tasks: readonly PromptTask[], options: GenerateCommandOptions, pipeline: Session["pipeline"], { signal, lost }: Ends): Promise<void> {
  const { out, steps, guidance, batch, perWord = false } = options;
  const begun = performance.now();
  const there = await Promise.all(tasks.map(({ file }) => isThere(join(out, "images", file))));
  const missing = tasks.filter((_, i) => !there[i]);
  if (missing.length < tasks.length) log(`${tasks.length - missing.length} of ${tasks.length} images are there already`);
  const progress = createProgress();
  const perImage = steps * (guidance === 1 ? 1 : 2);
  let made = 0;
  const onProgress = ({ done }: { done: number }) => progress.update("images", made + done / perImage, missing.length);
  try {
    for await (const image of pipeline.generate(missing, { steps, guidance, batch, perWord, signal: AbortSignal.any([signal, lost]), onProgress })) {
      lost.throwIfAborted();
      await writeImage(out, missing[made].file, image);
      made++;
    }
  } catch (error) {
    if (!(signal.aborted && (error as Error).name === "AbortError")) throw error;
  } finally {
    progress.stop();
    const images = [...tasks.filter((_, i) => there[i]), ...missing.slice(0, made)];
    if (!lost.aborted) {
      await writeTable(out, images);
      report({ out, images, made, kept: tasks.length - missing.length, seconds: (performance.now() - begun) / 1000 }, options.json);
    }
  }
}

const isThere = (path: string) => stat(path).then((stats) => stats.isFile(), () => false);

/** The image comes last: where it is, all of it is. */
async function writeImage(out: string, file: string, { film, attention, overlay }: GeneratedImage): Promise<void> {
  if (attention) {
    await writePng(await placeOf(out, "attention", file), overlay(attention.map));
    await writeWordsPng(await placeOf(out, "words", file), attention.words.map(({ text, map }) => ({ word: text, picture: overlay(map) })));
  }
  await writeFilmPng(await placeOf(out, "images", file), film);
}

async function placeOf(out: string, kind: string, file: string): Promise<string> {
  const path = join(out, kind, file);
  await makeFolders(join(path, ".."));
  return path;
}

async function writeTable(out: string, images: readonly PromptTask[]): Promise<void> {
  const rows = images.map(({ file, prompt, seed }) => [join("images", file).replaceAll("\\", "/"), prompt, seed]);
  await writeFileAtomically(join(out, "images.csv"), (sink) => sink.write(toCsv([["path", "prompt", "seed"], ...rows])));
}

function report({ made, kept, seconds, ...rest }: GenerateReport, json: boolean | undefined): void {
  if (json) return printJson({ ...rest, made, kept, seconds });
  log(`${made} image${made === 1 ? "" : "s"} in ${formatDuration(seconds)}${made > 0 ? `, ${((60 * made) / seconds).toFixed(1)} a minute` : ""}`);
  process.stdout.write(`${rest.out}\n`);
}
