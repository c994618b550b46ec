import type { DataSample } from "../data/layouts/layout.ts";
import { planPreprocess } from "../data/preprocess.ts";
import { InputError } from "../errors.ts";
import { diseaseDeviation } from "../eval/disease_deviation.ts";
import { groupBy } from "../group_by.ts";
import type { PlannedRow } from "../eval/plan.ts";
import { type EvalRow, type RowTruth, measureRow } from "../eval/row.ts";
import type { RunFolder } from "../eval/run_folder_node.ts";
import { truthMask } from "../eval/truth.ts";
import type { GroundSettings } from "../grounding/options.ts";
import { preparePhrase } from "../grounding/phrases.ts";
import type { GroundResult } from "../grounding/result.ts";
import { phraseNote } from "../report/result_record.ts";
import { findDiseaseWords } from "../text/diseases.ts";
import { log } from "./command.ts";
import { type FilmChecks, filmChecks, filmTasks, usableFilms } from "./eval_films.ts";
import { EvaluationCount } from "./evaluation_count.ts";
import { type GroundRun, addWork, groundCall, shortened } from "./ground_run.ts";
import type { Session } from "./ground_session.ts";
import { gatherCalls } from "./ground_work.ts";
import { createProgress } from "./progress.ts";

/** A data set to evaluate. */
export interface EvalData {
  samples: readonly DataSample[];
  /** Path of a sample's image as the data set has it. */
  imageName: (sample: DataSample) => string;
}

/** What is to be done, with what. */
export interface Evaluation {
  data: EvalData;
  rows: readonly PlannedRow[];
  settings: GroundSettings;
  session: Session;
  signal: AbortSignal;
  /** What was done so far. */
  work: EvalWork;
}

/** What an evaluation has done. */
export interface EvalWork extends Pick<GroundRun, "cost" | "timings"> {
  /** Maps that were made. */
  phrases: number;
  /** What the reader must know of the results, each once. */
  warnings: string[];
  /** What could not be used, and why. */
  leftOut: string[];
}

/** Says on stderr what is left out, and remembers it. */
export function leaveOut({ leftOut }: EvalWork, fact: string): void {
  leftOut.push(fact);
  log(`left out: ${fact}`);
}

/** Rows that are evaluated with the same settings, by the path of the film. */
interface Part {
  settings: GroundSettings;
  films: Map<string, PlannedRow[]>;
}

/** Grounds and measures the rows; those of each call of the pipeline are on the disk before the next one begins. */
export async function evaluate(evaluation: Evaluation, folder: RunFolder): Promise<void> {
  const { session, signal, work } = evaluation;
  const { pipeline } = session;
  const checks = filmChecks(evaluation);
  const planned = await usableRows(evaluation);
  warnOfDeviations(work, planned, [evaluation.settings.tokens]);
  const parts = partsOf(evaluation, planned);
  const count = new EvaluationCount(parts.flatMap(({ films }) => filmTasks(films)), evaluation.settings);
  const progress = createProgress();
  try {
    for (const { settings, films } of parts) {
      for await (const items of gatherCalls(usableFilms(evaluation, films, checks), pipeline, settings)) {
        const { results } = await groundCall(items, { plan: { settings, signal }, pipeline, count, progress });
        progress.stop();
        addWork(work, results[0]);
        work.phrases += results.length;
        const rows: EvalRow[] = [];
        const truthOf = rowTruths(evaluation, checks);
        for (const [i, { work: film, phrase }] of items.entries()) {
          const ofMap = films.get(film.path)?.filter(({ text }) => text === phrase) ?? [];
          for (const row of ofMap) rows.push(...(await measure(evaluation, row, results[i], truthOf)));
        }
        await folder.append(rows);
      }
    }
  } finally {
    progress.stop();
  }
}

/** With disease filtering every label is a part, since the words that count are its own. */
function partsOf({ data, settings }: Evaluation, rows: readonly PlannedRow[]): Part[] {
  const filmOf = ({ sample }: PlannedRow) => data.samples[sample].imagePath;
  if (settings.tokens !== "disease") return [{ settings, films: groupBy(rows, filmOf) }];
  return [...groupBy(rows, ({ label }) => label)].map(([label, ofLabel]) => ({
    settings: findDiseaseWords(label) ? { ...settings, label } : { ...settings, tokens: "all" as const },
    films: groupBy(ofLabel, filmOf),
  }));
}

/** Says of which rows the maps will not be what the settings say, and remembers it: one line for all. */
export function warnOfDeviations({ warnings }: EvalWork, rows: readonly PlannedRow[], tokens: readonly GroundSettings["tokens"][]): void {
  const labels = rows.map(({ label }) => label).filter((label) => diseaseDeviation(label, tokens) !== undefined);
  if (labels.length === 0) return;
  const names = [...new Set(labels)].map((label) => label || "no label").join(", ");
  const warning = `--tokens disease has no words for ${names}: all tokens are used in ${labels.length} of ${rows.length} rows`;
  warnings.push(warning);
  log(`warning: ${warning}`);
}

/** How many notes on single phrases are worth reading. */
const SHOWN_NOTES = 3;

/** The rows whose phrases can be used; says of the others why they are left out, and what is odd about some. */
export async function usableRows({ session, rows, settings, work }: Evaluation): Promise<PlannedRow[]> {
  const usable: PlannedRow[] = [];
  const notes: string[] = [];
  for (const [text, ofText] of groupBy(rows, (row) => row.text)) {
    try {
      const note = phraseNote(await preparePhrase(session.pipeline.ldm, text, { ...settings, tokens: settings.tokens === "disease" ? "all" : settings.tokens }));
      if (note) notes.push(`note: ${JSON.stringify(shortened(text))}: ${note}`);
      usable.push(...ofText);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      leaveOut(work, `${JSON.stringify(shortened(text))}: ${error.message}`);
    }
  }
  for (const note of notes.slice(0, SHOWN_NOTES)) log(note);
  if (notes.length > SHOWN_NOTES) log(`note: there are such notes on ${notes.length - SHOWN_NOTES} phrases more`);
  return usable;
}

/** A map's row; none where the film of the boxes cannot be used. */
async function measure({ data, settings }: Evaluation, planned: PlannedRow, result: GroundResult, truthOf: TruthOf): Promise<EvalRow[]> {
  const { samples, imageName } = data;
  const sample = samples[planned.sample];
  const truth = await truthOf(samples[planned.truth]);
  const deviation = diseaseDeviation(planned.label, [settings.tokens]);
  return truth ? [measureRow(planned, sample, imageName(sample), { ...result, deviation }, truth)] : [];
}

export type TruthOf = (sample: DataSample) => Promise<RowTruth | undefined>;

/** What the maps of a call are measured against; a sample's boxes are drawn once for all its controls. */
export function rowTruths({ data, settings, session }: Evaluation, checks: FilmChecks): TruthOf {
  const { sampleSize } = session.pipeline.ldm.vae.config;
  const made = new Map<DataSample, RowTruth>();
  return async (sample) => {
    const size = await checks.sizeFor(sample);
    if (!size) return undefined;
    const { boxes } = sample;
    const truth = made.get(sample) ?? { truth: truthMask(boxes, planPreprocess(size.width, size.height, sampleSize), settings.reading), boxCount: boxes.length, image: data.imageName(sample) };
    made.set(sample, truth);
    return truth;
  };
}
