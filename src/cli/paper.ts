import { join } from "node:path";
import type { Command } from "commander";
import { type BioViL, loadBioViL, mapPhrases } from "../baselines/biovil.ts";
import { readWholeRun } from "../eval/run_folder_node.ts";
import { drawn } from "../paper/sample_maps.ts";
import { needs } from "../paper/tables.ts";
import { nodePlatform } from "../platform_node.ts";
import { formatDuration } from "../report/numbers.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import { createCommand, exitCodes, interruptSignal, log, printJson } from "./command.ts";
import { type DataOptions, planRun } from "./eval_data.ts";
import type { EvalData, EvalWork } from "./eval_run.ts";
import { noWork } from "./ground_run.ts";
import { type Session, openSession } from "./ground_session.ts";
import { writeTable } from "./eval_results.ts";
import { evaluateBioViL } from "./paper_biovil.ts";
import { DRAWN_FILMS, type PaperOptions, addPaperOptions } from "./paper_options.ts";
import { type OtherMethod, type PictureSources, paperPictures, sweptMethod } from "./paper_pictures.ts";
import { measureQuality } from "./paper_quality.ts";
import { writePaperReport } from "./paper_report.ts";
import { type PaperRuns, isStepFinished, readPaperRuns } from "./paper_runs.ts";
import { PROMPTS, StepFailed, generateSteps, paperData, paperFolders, paperSteps, runStep } from "./paper_steps.ts";

const stepsHelp = `
Without --data it draws ${DRAWN_FILMS} synthetic films. Every step is a run of eval or sweep in a folder of its own below --out:
the same command goes on after an interruption. What needs weights that are not given says so in its place.`;

/** `paper`: every table and figure of "Generate to Ground" in one page. */
export function paperCommand(): Command {
  const example = "paper --dataset ms-cxr --data ms-cxr --images mimic-cxr-jpg --model DIR --steps 50 --out paper";
  return addPaperOptions(createCommand("paper", "every table and figure of the paper, computed, in one page beside the paper's own numbers", example))
    .addHelpText("after", stepsHelp)
    .action(paper);
}

async function paper(options: PaperOptions): Promise<void> {
  const signal = interruptSignal();
  try {
    for (const step of paperSteps(options)) await runStep(step, (since) => isStepFinished(step.folder, since), signal);
    await writePrompts(options.out);
    for (const step of generateSteps(options).values()) await runStep(step, async () => false, signal);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    process.exitCode = error.exitCode;
    if (error.exitCode !== exitCodes.badInput) log("stopped; the same command goes on from here");
    return;
  }
  const runs = await readPaperRuns(options);
  const session = await openSession(options, signal);
  try {
    await report(options, runs, session, signal);
  } finally {
    session.close();
  }
}

/** Writes the first phrases of the evaluation as the prompts of table 4. */
async function writePrompts(out: string): Promise<void> {
  const folders = paperFolders(out);
  const { rows } = await readWholeRun(folders.controls);
  const own = rows.filter(({ kind }) => kind === "phrase").sort((a, b) => a.sample - b.sample);
  const phrases = [...new Set(own.map(({ phrase }) => phrase))].slice(0, PROMPTS);
  await writeTable(folders.prompts, [["prompt"], ...phrases.map((phrase) => [phrase])]);
}

/** Does what no step does: baselines without a U-Net, image quality, pictures; then writes the page. */
async function report(options: PaperOptions, runs: PaperRuns, session: Session, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  const work: EvalWork = { ...noWork(), phrases: 0, warnings: [], leftOut: [] };
  const dataOptions: DataOptions = { ...options, ...paperData(options), limit: options.films };
  const { data, rows } = await planRun(dataOptions, work, { controls: false, seed: options.seed });
  const { gpu, vae } = session.pipeline.ldm;
  const open = async (folder: string | undefined) => folder === undefined ? undefined : loadBioViL(gpu, nodePlatform, openFolder(folder), { signal });
  const evaluate = async (biovil: BioViL | undefined, name: string) => biovil && evaluateBioViL({ biovil, data, dataOptions, rows, imageSize: vae.config.sampleSize, work, signal }, join(options.out, name));
  const [bioVil, bioVilL] = [await open(options.biovil), await open(options.biovilL)];
  const results = {
    runs,
    bioVil: await evaluate(bioVil, "biovil"),
    bioVilL: await evaluate(bioVilL, "biovil-l"),
    quality: await measureQuality(options, data, signal),
  };
  const pictures = await paperPictures(pictureSources(options, { runs, session, data, bioVil, signal }));
  const path = await writePaperReport(options.out, { ...results, pictures, notes: notesOf(runs, session, work), seconds: elapsed() });
  log(`tables and pictures in ${formatDuration(elapsed())}`);
  if (options.json) printJson({ report: path, samples: runs.methods.rows.length });
  else process.stdout.write(`${path}\n`);
  if (work.leftOut.length > 0) process.exitCode = exitCodes.badInput;
}

function pictureSources(options: PaperOptions, { runs, session, data, bioVil, signal }: { runs: PaperRuns; session: Session; data: EvalData; bioVil: BioViL | undefined; signal: AbortSignal }): PictureSources {
  const folders = paperFolders(options.out);
  const { grid } = runs.methods.configuration;
  const { steps, lastSteps, seed, batch } = options;
  const shared = { session, draw: { token: grid.tokens.indexOf("lexical"), last: 0, reading: grid.reading }, settings: { steps, lastSteps, seed, batch } };
  const imageSize = session.pipeline.ldm.vae.config.sampleSize;
  const bioVilMethod: OtherMethod = {
    name: "BioViL", ...needs("--biovil DIR"),
    mapOf: bioVil && (async (film, _sample, phrase) => {
      const [{ map, side }] = await mapPhrases(bioVil, film, [phrase], imageSize);
      return drawn(map, side);
    }),
  };
  const clip: OtherMethod = runs.encoders.has("CLIP") ? sweptMethod("CLIP LDM", folders.encoder("CLIP"), shared) : { name: "CLIP LDM", ...needs("--encoder CLIP=DIR") };
  return { ...shared, data, controls: runs.controls.rows, methods: runs.methods, meansFolder: join(folders.methods, "means"), others: [bioVilMethod, clip], signal };
}

/** As many samples as the orderings want. */
const ENOUGH_SAMPLES = 200;

/** What the reader of the page must know. */
function notesOf({ methods, controls: { run } }: PaperRuns, { synthetic }: Session, { leftOut }: EvalWork): string[] {
  const { dataset } = methods.configuration.data;
  const samples = methods.rows.length;
  const { steps } = run.configuration.settings;
  const lost = new Set([...leftOut, ...methods.sessions.flatMap((session) => session.leftOut)]).size;
  return [
    ...(dataset === "phantom" ? ["Synthetic films: the paper's numbers stand beside ours to compare orderings, not values."] : synthetic ? [`${synthetic.note[0].toUpperCase()}${synthetic.note.slice(1)}.`] : []),
    ...(samples < ENOUGH_SAMPLES ? [`Only ${samples} samples: intervals are wide; ${ENOUGH_SAMPLES} or more settle orderings.`] : []),
    ...(steps === 50 ? [] : [`T = ${steps} timesteps; the paper has 50.`]),
    ...(lost > 0 ? [`${lost} samples or films could not be used; run.json of each step says why.`] : []),
  ];
}
