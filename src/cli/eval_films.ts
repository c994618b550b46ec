import { readFilm } from "../data/decode_node.ts";
import { sizeFacts } from "../data/layouts/check_node.ts";
import type { DataSample } from "../data/layouts/layout.ts";
import { InputError } from "../errors.ts";
import type { PlannedRow } from "../eval/plan.ts";
import { log } from "./command.ts";
import { type Evaluation, leaveOut } from "./eval_run.ts";
import { type FilmTask, type FilmWork, readFilms } from "./film_tasks.ts";
import { warningsOf } from "./ground_run.ts";

/** A film's size in pixels. */
type Size = Pick<FilmWork["film"], "width" | "height">;

/** What is known of films that were decoded. */
export interface FilmChecks {
  /** Remembers a film; undefined for one that cannot be used, of which was told. */
  add(path: string, size: Size | undefined): void;
  /** The size of a sample's film, which is read where it was not yet; undefined where film or boxes cannot be used. */
  sizeFor(sample: DataSample): Promise<Size | undefined>;
}

/** Nothing is known yet. */
export function filmChecks({ work }: Pick<Evaluation, "work">): FilmChecks {
  const sizes = new Map<string, Size | undefined>();
  const fits = new Map<DataSample, boolean>();
  return {
    add: (path, size) => void sizes.set(path, size),
    async sizeFor(sample) {
      const { imagePath } = sample;
      if (!sizes.has(imagePath)) sizes.set(imagePath, await readSize(imagePath, work));
      const size = sizes.get(imagePath);
      if (!size) return undefined;
      if (!fits.has(sample)) {
        const facts = sizeFacts(sample, size);
        for (const fact of facts) leaveOut(work, fact);
        fits.set(sample, facts.length === 0);
      }
      return fits.get(sample) ? size : undefined;
    },
  };
}

async function readSize(path: string, work: Evaluation["work"]): Promise<Size | undefined> {
  try {
    const { width, height } = await readFilm(path);
    return { width, height };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    leaveOut(work, error.message);
    return undefined;
  }
}

/** What to ground in each film. */
export function filmTasks(films: ReadonlyMap<string, readonly PlannedRow[]>): FilmTask[] {
  return [...films].map(([path, rows]) => ({ path, phrases: textsOf(rows), boxes: [] }));
}

function textsOf(rows: readonly PlannedRow[]): string[] {
  return [...new Set(rows.map(({ text }) => text))];
}

/** The films that can be used, one after the other; rows whose film or boxes cannot are taken out of `films`. */
export async function* usableFilms({ data, session, work }: Evaluation, films: Map<string, PlannedRow[]>, checks: FilmChecks): AsyncGenerator<FilmWork> {
  const fail = ({ path, error }: { path: string; error: string }) => {
    checks.add(path, undefined);
    leaveOut(work, error);
  };
  for await (const film of readFilms(filmTasks(films), fail)) {
    const { path } = film;
    checks.add(path, { width: film.film.width, height: film.film.height });
    const rows: PlannedRow[] = [];
    for (const row of films.get(path) ?? []) if (await checks.sizeFor(data.samples[row.sample])) rows.push(row);
    films.set(path, rows);
    if (rows.length === 0) continue;
    for (const warning of warningsOf(film, session).filter((text) => !work.warnings.includes(text))) {
      work.warnings.push(warning);
      log(`warning: ${warning}`);
    }
    yield { ...film, phrases: textsOf(rows) };
  }
}
