import { createHash } from "node:crypto";
import { decodeFilm, readFilmBytes } from "../data/decode_node.ts";
import type { Film } from "../data/film.ts";
import { isOutside, outsideFact } from "../data/layouts/row_checks.ts";
import type { Box } from "../data/preprocess.ts";
import { InputError } from "../errors.ts";

/** An image file, what to look for in it, and where it is known to be. */
export interface FilmTask {
  path: string;
  phrases: readonly string[];
  /** Reference boxes in pixels of the image; none where they are not known. */
  boxes: readonly Box[];
}

/** A task whose film was read. */
export interface FilmWork extends FilmTask {
  film: Film;
  /** SHA-256 of the file. */
  sha256: string;
}

/** A film that could not be used. */
export interface FilmFailure {
  path: string;
  error: string;
}

/** Reads films one after the other; bad ones are reported and left out. */
export async function* readFilms(tasks: readonly FilmTask[], onFailure: (failure: FilmFailure) => void): AsyncGenerator<FilmWork> {
  for (const task of tasks) {
    try {
      const bytes = await readFilmBytes(task.path);
      const film = await decodeFilm(bytes, task.path);
      const outside = task.boxes.find((box) => isOutside(box, film.width, film.height));
      if (outside) throw new InputError(task.path, `${outsideFact(outside)} of ${film.width} x ${film.height} pixels`);
      yield { ...task, film, sha256: createHash("sha256").update(bytes).digest("hex") };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      onFailure({ path: task.path, error: error.message });
    }
  }
}
