import type { Film } from "../data/film.ts";
import type { Box } from "../data/preprocess.ts";
import { InputError } from "../errors.ts";
import type { LibraryWorker } from "../worker/client.ts";

/** A film on the page. */
export interface ShownFilm {
  film: Film;
  /** The film as it is drawn: as large as a screen needs. */
  shown: Film;
  /** What was found beside it: a phrase to start with, and a reference box in pixels of the film. */
  phrase?: string;
  box?: Box;
}

/** A film that comes with the model. */
export interface SampleFilm {
  url: string;
  label: string;
  phrase: string;
  boxes: Box[];
}

/** Longest side that is drawn, at least and at most: outlines of small films stay fine, large films quick. */
const SHOWN = { least: 512, most: 1024 };
/** Largest file that is read. */
const MAX_FILE_BYTES = 512 * 2 ** 20;

/** Decodes a file that the visitor chose or dropped. Throws InputError. */
export async function readFilm(worker: LibraryWorker, file: File): Promise<ShownFilm> {
  if (file.size > MAX_FILE_BYTES) throw new InputError(file.name, `has ${file.size} bytes; at most ${MAX_FILE_BYTES} are read`);
  const film = await worker.decodeFilm(new Uint8Array(await file.arrayBuffer()), file.name);
  return { film, shown: forScreen(film) };
}

/** Fetches a film that comes with the model. Throws InputError. */
export async function readSample(worker: LibraryWorker, { url, phrase, boxes }: SampleFilm): Promise<ShownFilm> {
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok) throw new InputError(url, "cannot be had; reload the page");
  const film = await worker.decodeFilm(new Uint8Array(await response.arrayBuffer()), url.slice(url.lastIndexOf("/") + 1));
  return { film, shown: forScreen(film), phrase, box: boxes[0] };
}

/** The films of a model folder's `samples/films.json`. */
export function sampleFilms(folder: string, films: unknown): SampleFilm[] {
  const records = films as { image: string; label: string; phrase: string; boxes_xywh: Box[] }[];
  return records.map(({ image, label, phrase, boxes_xywh }) => ({ url: `${folder}/samples/${image}`, label, phrase, boxes: boxes_xywh }));
}

function forScreen(film: Film): Film {
  const longest = Math.max(film.width, film.height);
  const factor = Math.min(Math.max(longest, SHOWN.least), SHOWN.most) / longest;
  if (factor === 1) return film;
  const [width, height] = [Math.max(1, Math.round(film.width * factor)), Math.max(1, Math.round(film.height * factor))];
  const from = canvasOf(film);
  const to = new OffscreenCanvas(width, height);
  const context = to.getContext("2d", { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
  context.imageSmoothingQuality = "high";
  context.drawImage(from, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) data[3 * i + c] = rgba[4 * i + c];
  return { ...film, width, height, channels: 3, data };
}

function canvasOf({ width, height, channels, data }: Film): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = data[channels === 3 ? 3 * i + c : i];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
