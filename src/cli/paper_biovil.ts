import { basename } from "node:path";
import { type BioViL, mapPhrases } from "../baselines/biovil.ts";
import type { Film } from "../data/film.ts";
import { planPreprocess } from "../data/preprocess.ts";
import { groupBy } from "../group_by.ts";
import type { PlannedRow } from "../eval/plan.ts";
import { type EvalRow, measureRow } from "../eval/row.ts";
import { type RunConfiguration, openRunFolder } from "../eval/run_folder_node.ts";
import { truthMask } from "../eval/truth.ts";
import { type DataOptions, describeData, rowsLeft } from "./eval_data.ts";
import { filmChecks, filmTasks } from "./eval_films.ts";
import { type EvalData, type EvalWork, leaveOut } from "./eval_run.ts";
import { readFilms } from "./film_tasks.ts";
import { version } from "./package.ts";
import { createProgress } from "./progress.ts";

/** Samples to map with BioViL, as the diffusion model's maps are measured. */
export interface BioViLEvaluation {
  readonly biovil: BioViL;
  readonly data: EvalData;
  readonly dataOptions: DataOptions;
  readonly rows: readonly PlannedRow[];
  /** Side of the diffusion model's image, at which all maps are measured. */
  readonly imageSize: number;
  readonly work: EvalWork;
  readonly signal: AbortSignal;
}

/** What the rows of BioViL depend on. */
interface BioViLConfiguration extends RunConfiguration {
  readonly imageSize: number;
}

/** Measures BioViL's maps of samples; those of each film are on the disk before the next one begins, and none is made twice. */
export async function evaluateBioViL({ biovil, data, dataOptions, rows, imageSize, work, signal }: BioViLEvaluation, out: string): Promise<readonly EvalRow[]> {
  const configuration: BioViLConfiguration = { version, model: { sha256: biovil.sha256, dtype: "f32" }, data: describeData(data, dataOptions), limit: dataOptions.limit, imageSize };
  const folder = await openRunFolder<EvalRow, BioViLConfiguration>(out, { configuration, model: basename(biovil.name), shards: [] });
  const progress = createProgress();
  try {
    const films = groupBy(rowsLeft(rows, folder), ({ sample }) => data.samples[sample].imagePath);
    const checks = filmChecks({ work });
    let done = 0;
    for await (const { path, film } of readFilms(filmTasks(films), ({ error }) => leaveOut(work, error))) {
      signal.throwIfAborted();
      checks.add(path, film);
      progress.update(`BioViL: ${basename(path)}`, done++, films.size);
      const usable: PlannedRow[] = [];
      for (const row of films.get(path) ?? []) if (await checks.sizeFor(data.samples[row.sample])) usable.push(row);
      if (usable.length > 0) await folder.append(await measureFilm(biovil, film, usable, data, imageSize));
    }
    return [...folder.rows];
  } finally {
    progress.stop();
    await folder.close();
  }
}

async function measureFilm(biovil: BioViL, film: Film, rows: readonly PlannedRow[], { samples, imageName }: EvalData, imageSize: number): Promise<EvalRow[]> {
  const maps = await mapPhrases(biovil, film, rows.map(({ text }) => text), imageSize);
  return rows.map((row, i) => {
    const sample = samples[row.sample];
    const { boxes } = sample;
    const truth = truthMask(boxes, planPreprocess(film.width, film.height, imageSize), "paper");
    return measureRow(row, sample, imageName(sample), maps[i], { truth, boxCount: boxes.length, image: imageName(sample) });
  });
}
