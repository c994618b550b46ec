import { join } from "node:path";
import type { DataSample } from "../data/layouts/layout.ts";
import { diseaseDeviation } from "../eval/disease_deviation.ts";
import { groupBy } from "../group_by.ts";
import type { PlannedRow } from "../eval/plan.ts";
import { type RowTruth, measureRow } from "../eval/row.ts";
import type { RunConfiguration, RunFolder } from "../eval/run_folder_node.ts";
import { activationMask } from "../grounding/mask.ts";
import type { GroundProgress } from "../grounding/pipeline.ts";
import { publishedCost } from "../grounding/savings.ts";
import { type CapturedPass, type SweepRequest, capturePasses, requestsAtOnce } from "../sweep/capture.ts";
import type { SweepGrid, SweptSettings } from "../sweep/grid.ts";
import { type LayerMeans, readMeans } from "../sweep/layer_means.ts";
import { writeMeansFile } from "../sweep/means_file_node.ts";
import { settingKey } from "../sweep/settings.ts";
import { type SweptMap, sweptMaps } from "../sweep/sweep.ts";
import { type PackedMetrics, type SweepRow, packMetrics } from "../sweep/sweep_row.ts";
import { findDiseaseWords } from "../text/diseases.ts";
import { type Background, createBackground, inSlices } from "./background.ts";
import { filmChecks, usableFilms } from "./eval_films.ts";
import { type Evaluation, type TruthOf, rowTruths, usableRows, warnOfDeviations } from "./eval_run.ts";
import type { FilmWork } from "./film_tasks.ts";
import { addWork } from "./ground_run.ts";
import { createProgress } from "./progress.ts";

/** What the rows of a sweep depend on. */
export interface SweepConfiguration extends RunConfiguration {
  readonly grid: Omit<SweepGrid, "batch">;
  /** The model's cross-attention layers, in module order. */
  readonly layers: readonly { readonly name: string; readonly side: number }[];
}

export type SweepFolder = RunFolder<SweepRow, SweepConfiguration>;

/** What a sweep makes of every sample. */
export interface SweepPlan {
  grid: SweepGrid;
  /** The settings of the grid, in order. */
  settings: readonly SweptSettings[];
  /** Where to keep the means of every pass; nowhere where absent. */
  meansFolder?: string;
}

/** A row to make, and the film that it looks at. */
interface SweepItem {
  film: FilmWork;
  planned: PlannedRow;
}

/** Makes the rows of an evaluation under every setting. Maps are measured while the device computes the next ones. */
export async function sweepSamples(evaluation: Evaluation, plan: SweepPlan, folder: SweepFolder): Promise<void> {
  const { data, session, work } = evaluation;
  const rows = await usableRows(evaluation);
  warnOfDeviations(work, rows, plan.grid.tokens);
  const films = groupBy(rows, ({ sample }) => data.samples[sample].imagePath);
  const checks = filmChecks(evaluation);
  const progress = createProgress();
  const measuring = createBackground();
  let begun = 0;
  const show = (label: string, passes: number) => progress.update(label, begun + passes, rows.length * passesOf(plan));
  try {
    for await (const items of gatherItems(usableFilms(evaluation, films, checks), films, requestsAtOnce(session.pipeline, plan.grid))) {
      const measures = await sweepItems(items, evaluation, { plan, show, measuring, truthOf: rowTruths(evaluation, checks) });
      begun += items.length * passesOf(plan);
      await measuring.add(async () => {
        await folder.append(measures.map(({ row }) => row()));
        work.phrases += items.length;
      });
    }
  } finally {
    await measuring.end().finally(() => progress.stop());
  }
}

const passesOf = ({ grid }: SweepPlan) => grid.modes.length * grid.steps.length;

/** As many rows as a pass takes, film by film. */
async function* gatherItems(films: AsyncIterable<FilmWork>, rowsOf: ReadonlyMap<string, readonly PlannedRow[]>, atOnce: number): AsyncGenerator<SweepItem[]> {
  let items: SweepItem[] = [];
  for await (const film of films) {
    for (const planned of rowsOf.get(film.path) ?? []) {
      if (items.length === atOnce) {
        yield items;
        items = [];
      }
      items.push({ film, planned });
    }
  }
  if (items.length > 0) yield items;
}

interface ItemsContext {
  plan: SweepPlan;
  /** Shows that so many passes of single samples are done, besides those of earlier items. */
  show: (label: string, passes: number) => void;
  measuring: Background;
  truthOf: TruthOf;
}

/** Runs the passes of some samples. Their rows are there once `measuring` has done what it was given. */
async function sweepItems(items: readonly SweepItem[], evaluation: Evaluation, { plan, show, measuring, truthOf }: ItemsContext): Promise<Measure[]> {
  const { data, session, signal, work } = evaluation;
  const { pipeline } = session;
  const truths: RowTruth[] = [];
  for (const { planned } of items) truths.push((await truthOf(data.samples[planned.truth])) as RowTruth); // rows without are left out before
  const measures = items.map((item, i) => measureItem(item, evaluation, truths[i], plan));
  let passes = 0;
  const onProgress = ({ stage, done, total }: GroundProgress) => show(stage, items.length * (passes + (stage === "main pass" ? done / total : 0)));
  let before = snapshot(evaluation);
  for await (const pass of capturePasses(pipeline, items.map((item) => requestOf(item, data.samples)), plan.grid, { signal, onProgress })) {
    signal.throwIfAborted();
    if (plan.meansFolder !== undefined) await keepMeans(pass.means, items, (sample) => meansPath(plan.meansFolder as string, { ...pass, sample }));
    const maps: SweptMap[] = [];
    for await (const swept of sweptMaps(pass, plan.grid)) maps.push(swept);
    const after = snapshot(evaluation);
    const published = publishedCost(pipeline.ldm, { requests: items.length, steps: pass.steps, side: pass.means.side });
    addWork(work, { cost: { unetEvaluations: pass.evaluations, flops: after.flops - before.flops, bytesReadBack: after.bytesReadBack - before.bytesReadBack, published }, timings: {} });
    before = after;
    passes++;
    await measuring.add(() => inSlices(maps, (swept) => measures[swept.request].add(swept)));
  }
  return measures;
}

function snapshot({ session }: Evaluation): { flops: number; bytesReadBack: number } {
  const { flopsSubmitted, bytesReadBack } = session.pipeline.ldm.gpu;
  return { flops: flopsSubmitted, bytesReadBack };
}

function requestOf({ film, planned }: SweepItem, samples: readonly DataSample[]): SweepRequest {
  const { label } = samples[planned.sample];
  return { film: film.film, phrase: planned.text, label: findDiseaseWords(label) && label };
}

/** Measures maps to a row. */
interface Measure {
  add(swept: SweptMap): void;
  /** To be called when the maps of all settings were added. */
  row(): SweepRow;
}

/** Measures the maps of one sample. Equal ones are measured once: token choices often come to the same. */
function measureItem({ planned }: SweepItem, { data, session }: Evaluation, truth: RowTruth, { grid, settings }: SweepPlan): Measure {
  const { sampleSize: imageSize } = session.pipeline.ldm.vae.config;
  const sample = data.samples[planned.sample];
  const deviation = diseaseDeviation(sample.label, grid.tokens);
  const indexOf = new Map(settings.map((each, i) => [settingKey(each), i]));
  const metrics = new Array<PackedMetrics>(settings.length);
  const known: { map: Float32Array; index: number }[] = [];
  let facts: Omit<SweepRow, "metrics"> | undefined;
  return {
    add({ settings: each, map, side }) {
      const index = indexOf.get(settingKey(each)) as number;
      const equal = known.find((other) => map.every((value, i) => value === other.map[i]));
      if (equal) {
        metrics[index] = metrics[equal.index];
        return;
      }
      const { metrics: measured, ssim: _, s: __, threshold: ___, ...rest } = measureRow(planned, sample, data.imageName(sample), { map, ...activationMask(map, side), side, imageSize, deviation }, truth);
      metrics[index] = packMetrics(measured);
      known.push({ map, index });
      facts = rest;
    },
    row: () => ({ ...(facts as Omit<SweepRow, "metrics">), metrics }),
  };
}

/** Where the means of one sample and pass are. */
export function meansPath(folder: string, { sample, mode, steps }: Pick<CapturedPass, "mode" | "steps"> & { sample: number }): string {
  return join(folder, `${String(sample).padStart(6, "0")}_${mode}_${steps}.safetensors`);
}

async function keepMeans(means: LayerMeans, items: readonly SweepItem[], pathOf: (sample: number) => string): Promise<void> {
  for (const [i, target] of (await readMeans(means)).entries()) {
    const { film, planned } = items[i];
    await writeMeansFile(pathOf(planned.sample), target, { width: film.film.width, height: film.film.height });
  }
}
