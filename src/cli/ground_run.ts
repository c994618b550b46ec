import { basename, join } from "node:path";
import { type GroundSettings, completeSettings } from "../grounding/options.ts";
import { preparePhrase } from "../grounding/phrases.ts";
import type { GroundProgress, GroundingPipeline } from "../grounding/pipeline.ts";
import type { GroundResult } from "../grounding/result.ts";
import type { Cost } from "../grounding/savings.ts";
import { isOfItsKind } from "../models/model_card.ts";
import type { ReportEntry } from "../report/card.ts";
import { reportHtml } from "../report/report.ts";
import { phraseNote, resultRecord } from "../report/result_record.ts";
import { log } from "./command.ts";
import { EvaluationCount } from "./evaluation_count.ts";
import { type FilmFailure, type FilmTask, type FilmWork, readFilms } from "./film_tasks.ts";
import type { RunOptions } from "./ground_options.ts";
import { type Session, openSession, withMemoryAdvice } from "./ground_session.ts";
import { type CallItem, gatherCalls } from "./ground_work.ts";
import { type OutputFolder, openOutputFolder, resultName } from "./output_folder.ts";
import { version } from "./package.ts";
import { type Progress, createProgress } from "./progress.ts";
import { writeResultFiles, writeText } from "./result_files.ts";

/** A result that is on the disk. */
export interface FinishedResult extends ReportEntry {
  /** Path of the image as it was given. */
  path: string;
}

/** What a run did. */
export interface GroundRun {
  out: string;
  /** Path of the report; absent where there is no result. */
  report?: string;
  results: FinishedResult[];
  failures: FilmFailure[];
  /** What the user must know of the results, each once. */
  warnings: string[];
  cost: Cost & { published: Cost };
  /** Milliseconds by stage. */
  timings: Record<string, number>;
  seconds: number;
  interrupted: boolean;
}

/** What a run is to do. */
export interface RunPlan {
  tasks: readonly FilmTask[];
  settings: GroundSettings;
  options: RunOptions;
  signal: AbortSignal;
  /** Called with every result when it is on the disk. */
  onResult?: (result: FinishedResult) => void;
}

/**
 * Grounds every phrase of every task. Each result is written as soon as it is there, and the report at the end, also
 * where the run is interrupted or fails half-way. Films that cannot be used are reported and left out.
 */
export async function groundFilms(plan: RunPlan): Promise<GroundRun> {
  const { tasks, options, signal } = plan;
  const started = performance.now();
  const run = emptyRun(options.out);
  const output = await openOutputFolder(options.out);
  try {
    const films = readFilms(tasks, (failure) => {
      run.failures.push(failure);
      log(`attnscope: ${failure.error}`);
    });
    const first = await films.next(); // without a good film there is no need to load the model
    if (!first.done) await withMemoryAdvice(options, () => groundAll(prepended(first.value, films), plan, output, run));
  } catch (error) {
    if (!(signal.aborted && (error as Error).name === "AbortError")) throw error;
  } finally {
    run.interrupted = signal.aborted;
    run.seconds = (performance.now() - started) / 1000;
    await writeReport(run).finally(() => output.close());
  }
  return run;
}

async function writeReport(run: GroundRun): Promise<void> {
  if (run.results.length === 0) return;
  run.report = join(run.out, "report.html");
  await writeText(run.report, reportHtml(run));
}

function emptyRun(out: string): GroundRun {
  return { out, results: [], failures: [], warnings: [], ...noWork(), seconds: 0, interrupted: false };
}

/** What no call has taken yet. */
export function noWork(): Pick<GroundRun, "cost" | "timings"> {
  const none: Cost = { unetEvaluations: 0, flops: 0, bytesReadBack: 0 };
  return { cost: { ...none, published: { ...none } }, timings: {} };
}

async function* prepended<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

async function groundAll(films: AsyncIterable<FilmWork>, plan: RunPlan, output: OutputFolder, run: GroundRun): Promise<void> {
  const { settings, options } = plan;
  const session = await openSession(options, plan.signal);
  const progress = createProgress();
  try {
    const { pipeline } = session;
    completeSettings(settings, pipeline.ldm.unet.crossAttentions.length);
    await explainPhrases(plan, pipeline);
    const count = new EvaluationCount(plan.tasks, settings);
    for await (const items of gatherCalls(films, pipeline, settings)) {
      const { results, gpuBytesPeak } = await groundCall(items, { plan, pipeline, count, progress });
      progress.stop();
      addWork(run, results[0]);
      for (const [i, result] of results.entries()) {
        const warnings = warningsOf(items[i].work, session);
        for (const warning of warnings.filter((text) => !run.warnings.includes(text))) {
          run.warnings.push(warning);
          log(`warning: ${warning}`);
        }
        const finished = await writeResult(items[i].work, result, { pipeline, output, warnings, results: results.length, gpuBytesPeak, dicom: options.dicom });
        run.results.push(finished);
        plan.onResult?.(finished);
      }
    }
  } finally {
    progress.stop();
    session.close();
  }
}

/** Fails on phrases that cannot be used, before any work; says what was cut or not found in the others. */
async function explainPhrases({ tasks, settings }: RunPlan, { ldm }: GroundingPipeline): Promise<void> {
  for (const phrase of new Set(tasks.flatMap(({ phrases }) => phrases))) {
    const note = phraseNote(await preparePhrase(ldm, phrase, settings));
    if (note) log(`note: ${JSON.stringify(shortened(phrase))}: ${note}`);
  }
}

/** A phrase for a line of output. */
export function shortened(phrase: string): string {
  return phrase.length > 60 ? `${phrase.slice(0, 60)}…` : phrase;
}

interface CallContext {
  plan: Pick<RunPlan, "settings" | "signal">;
  pipeline: GroundingPipeline;
  count: EvaluationCount;
  progress: Progress;
}

/** One call of the pipeline, watched. */
export async function groundCall(items: readonly CallItem[], { plan, pipeline, count, progress }: CallContext): Promise<{ results: GroundResult[]; gpuBytesPeak: number }> {
  const { settings, signal } = plan;
  const { gpu } = pipeline.ldm;
  const names = [...new Set(items.map(({ work }) => basename(work.path)))];
  const subject = names.length === 1 ? names[0] : `${names.length} films`;
  const onProgress = (state: GroundProgress) => {
    count.update(state);
    progress.update(`${subject}: ${state.stage}`, count.done, count.total);
  };
  gpu.resetPeak();
  count.begin(items);
  const results = await pipeline.groundMany(items.map(({ work, phrase }) => ({ film: work.film, phrase })), { ...settings, signal, onProgress });
  count.end(results[0].cost.unetEvaluations);
  return { results, gpuBytesPeak: gpu.memory().peakHeld };
}

/** What the user must know of a film's results. */
export function warningsOf({ film }: Pick<FilmWork, "film">, { synthetic, pipeline }: Session): string[] {
  const { sampleSize } = pipeline.ldm.vae.config;
  return [
    ...(synthetic && !isOfItsKind(film, synthetic) ? [synthetic.note] : []),
    ...(Math.max(film.width, film.height) < sampleSize ? [`films smaller than the model's ${sampleSize} x ${sampleSize} pixels are padded, not enlarged`] : []),
  ];
}

interface WriteContext {
  pipeline: GroundingPipeline;
  output: OutputFolder;
  warnings: readonly string[];
  results: number;
  gpuBytesPeak: number;
  dicom?: boolean;
}

async function writeResult(work: FilmWork, result: GroundResult, { pipeline, output, dicom, ...context }: WriteContext): Promise<FinishedResult> {
  const { path, sha256, boxes } = work;
  const record = resultRecord(result, { ...context, version, ldm: pipeline.ldm, imageName: basename(path), imageSha256: sha256, boxes });
  const { folder, written } = await output.add(resultName(path, record.phrase), { imageSha256: sha256, phrase: record.phrase }, (at) => writeResultFiles(at, result, record, { boxes, dicom }));
  return { folder, path, record, thumbnails: written };
}

/** Adds what one call took: its results share the numbers. */
export function addWork(run: Pick<GroundRun, "cost" | "timings">, { cost, timings }: Pick<GroundResult, "cost" | "timings">): void {
  for (const key of ["unetEvaluations", "flops", "bytesReadBack"] as const) {
    run.cost[key] += cost[key];
    run.cost.published[key] += cost.published[key];
  }
  for (const [stage, ms] of Object.entries(timings)) run.timings[stage] = (run.timings[stage] ?? 0) + ms;
}
