import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Box } from "../data/preprocess.ts";
import { InputError } from "../errors.ts";
import { parseJson } from "../weights/byte_source.ts";
import { shippedModel } from "./package.ts";

/** One entry of a films file: an image, the boxes of what it shows, and perhaps what that is. */
export interface LabelledFilm {
  image: string;
  boxes: readonly Box[];
  phrase?: string;
  label?: string;
}

const expected = 'expected [{"image": "film.png", "boxes_xywh": [[x, y, w, h]]}]';

/**
 * Reads a films file: `[{ "image", "boxes_xywh", "phrase"?, "label"? }]`, boxes in pixels of the image.
 * @throws InputError where it cannot be read or is something else
 */
export async function readFilmsFile(path: string): Promise<LabelledFilm[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new InputError(path, `cannot be read (${error.code}); check the path`);
  });
  const entries = parseJson(path, text);
  if (!Array.isArray(entries)) throw new InputError(path, `is not a list; ${expected}`);
  return entries.map((entry: Record<string, unknown> | null, i) => {
    const { image, boxes_xywh: boxes, phrase, label } = entry ?? {};
    if (typeof image !== "string") throw new InputError(path, `entry ${i} names no image; ${expected}`);
    if (!Array.isArray(boxes) || !boxes.every(isBox)) throw new InputError(path, `entry ${i} (${image}) has no boxes of four numbers; ${expected}`);
    return { image, boxes, phrase: optionalText(phrase), label: optionalText(label) };
  });
}

/** A film that ships with the package. */
export interface ShippedFilm extends LabelledFilm {
  /** Of the image file. */
  path: string;
  phrase: string;
}

/** The films that ship with the package. @throws InputError where their list was damaged */
export async function shippedFilms(): Promise<ShippedFilm[]> {
  const file = join(shippedModel, "samples", "films.json");
  return (await readFilmsFile(file)).map(({ phrase, ...film }) => {
    if (phrase === undefined) throw new InputError(file, `${film.image} has no phrase; get the file again`);
    return { ...film, path: join(dirname(file), film.image), phrase };
  });
}

function isBox(value: unknown): value is Box {
  return Array.isArray(value) && value.length === 4 && value.every(Number.isFinite) && value[2] > 0 && value[3] > 0;
}

function optionalText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
