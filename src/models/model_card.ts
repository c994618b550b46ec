import type { Film } from "../data/film.ts";
import { InputError } from "../errors.ts";
import { type FolderSource, readJson } from "../weights/byte_source.ts";

/** What a model folder's `attnscope.json` says of a model trained on synthetic films. */
export interface SyntheticFilms {
  /** Width and height of the films it knows. */
  side: number;
  channels: 1 | 3;
  /** What its maps of other films are worth. */
  note: string;
}

/**
 * The films that a model was trained on, where its folder says that they were synthetic.
 * @throws InputError where the folder's `attnscope.json` is broken or cannot be had
 */
export async function readSyntheticFilms(folder: FolderSource): Promise<SyntheticFilms | undefined> {
  const name = "attnscope.json";
  if (!(await folder.has(name))) return undefined;
  const card = (await readJson(folder, name)) as { syntheticFilms?: SyntheticFilms } | null;
  const films = card?.syntheticFilms;
  if (films === undefined) return undefined;
  if (!(Number.isInteger(films.side) && (films.channels === 1 || films.channels === 3) && typeof films.note === "string")) {
    throw new InputError(`${folder.name}/${name}`, "syntheticFilms needs side, channels and note; copy the folder again");
  }
  return films;
}

/** Whether a film looks like those that a model was trained on. */
export function isOfItsKind({ width, height, channels }: Film, known: SyntheticFilms): boolean {
  return width === known.side && height === known.side && channels === known.channels;
}
