import { planPreprocess } from "../data/preprocess.ts";
import { groupBy } from "../group_by.ts";
import { truthMask } from "../eval/truth.ts";
import type { SweptSettings } from "../sweep/grid.ts";
import { pickMeans, uploadMeans } from "../sweep/layer_means.ts";
import { type SearchedMetric, type Truth, layerObjective } from "../sweep/layer_objective.ts";
import { type LayerObjective, type Trial, searchLayers } from "../sweep/layer_search.ts";
import { readMeansFile } from "../sweep/means_file_node.ts";
import { baseOf } from "../sweep/settings.ts";
import type { SweepRow } from "../sweep/sweep_row.ts";
import { log } from "./command.ts";
import type { Evaluation } from "./eval_run.ts";
import { createProgress } from "./progress.ts";
import type { SweepOptions } from "./sweep_options.ts";
import { type SweepFolder, type SweepPlan, meansPath } from "./sweep_run.ts";

/** The value of some layers on the films that were searched and on the others. */
export interface SearchedSet {
  readonly layers: readonly number[];
  readonly searched: number;
  /** null where all films were searched. */
  readonly heldOut: number | null;
}

/** What a layer search found. */
export interface LayerSearch {
  readonly metric: SearchedMetric;
  readonly strategy: string;
  /** Settings of the maps, besides the layers. */
  readonly settings: Omit<SweptSettings, "layers">;
  /** How many samples the search saw, and how many it did not. */
  readonly samples: { readonly searched: number; readonly heldOut: number };
  readonly best: SearchedSet;
  readonly all: SearchedSet;
  readonly seconds: number;
  /** In order. */
  readonly trials: readonly Trial[];
}

/** One half of the samples: its objective, and what it holds on the device. */
interface Half {
  objective: LayerObjective;
  samples: number;
  free(): void;
}

/**
 * Searches the layers of the greatest mean metric on every other film, from the means of P that the folder keeps: the U-Net
 * does not run. The other films tell how far what was found holds beyond those that it was found on.
 */
export async function searchFolder(folder: SweepFolder, evaluation: Evaluation, plan: SweepPlan, options: SweepOptions): Promise<LayerSearch | undefined> {
  const { search, searchMetric: metric, searchStrategy: strategy, seed } = options;
  const { session, signal } = evaluation;
  const { layers: _, ...settings } = baseOf(plan.settings);
  const usable = folder.rows.filter(({ note }) => note === undefined);
  if (usable.length === 0 || plan.meansFolder === undefined) return undefined;
  const films = [...groupBy(usable, ({ image }) => image).values()];
  const [own, others] = [0, 1].map((half) => films.filter((_film, i) => i % 2 === half).flat());
  const searched = await loadHalf(own, settings, evaluation, plan, metric);
  const heldOut = others.length > 0 ? await loadHalf(others, settings, evaluation, plan, metric) : undefined;
  const progress = createProgress();
  const begun = performance.now();
  try {
    const trials = await searchLayers(session.pipeline.ldm.unet.crossAttentions.length, searched.objective, {
      trials: search, strategy, seed, signal,
      onTrial: (_trial, best, done) => progress.update(`layer search: ${metric} ${best.value.toFixed(3)} with ${best.layers.join("+")}`, done, search as number),
    });
    const seconds = (performance.now() - begun) / 1000;
    const told = async ({ layers, value }: Trial): Promise<SearchedSet> => ({ layers, searched: value, heldOut: (await heldOut?.objective(layers)) ?? null });
    const best = trials.reduce((a, b) => (b.value > a.value ? b : a));
    return { metric, strategy, settings, samples: { searched: searched.samples, heldOut: heldOut?.samples ?? 0 }, best: await told(best), all: await told(trials[0]), seconds, trials };
  } finally {
    progress.stop();
    searched.free();
    heldOut?.free();
  }
}

async function loadHalf(rows: readonly SweepRow[], settings: Omit<SweptSettings, "layers">, { data, session }: Evaluation, { grid, meansFolder }: SweepPlan, metric: SearchedMetric): Promise<Half> {
  const { ldm } = session.pipeline;
  const imageSize = ldm.vae.config.sampleSize;
  const all = [];
  const truths: Truth[] = [];
  for (const { sample } of rows) {
    const { means, facts } = await readMeansFile(meansPath(meansFolder as string, { ...settings, sample }));
    all.push(pickMeans(means, { token: grid.tokens.indexOf(settings.tokens), last: means.lastSteps.indexOf(settings.lastSteps) }));
    const { boxes } = data.samples[sample];
    truths.push({ truth: truthMask(boxes, planPreprocess(facts.width as number, facts.height as number, imageSize), grid.reading), boxCount: boxes.length });
  }
  const means = uploadMeans(ldm.gpu, all);
  const objective = layerObjective(means, truths, { metric, merge: settings.merge, reading: grid.reading, imageSize });
  return { objective, samples: rows.length, free: () => means.free() };
}

/** The search in some lines, for people. */
export function printSearch({ metric, samples, best, all, seconds, trials }: LayerSearch): void {
  log(`layer search: ${trials.length} sets in ${seconds.toFixed(1)} s, on ${samples.searched} samples`);
  for (const [name, { layers, searched, heldOut }] of [["best", best], ["all", all]] as const) {
    const others = heldOut === null ? "" : `, ${heldOut.toFixed(3)} on the ${samples.heldOut} others`;
    log(`  ${name.padEnd(4)}  ${metric} ${searched.toFixed(3)}${others}  ${layers.join("+")}`);
  }
}
