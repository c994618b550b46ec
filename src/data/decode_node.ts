import { readFile } from "node:fs/promises";
import sharp, { type Sharp } from "sharp";
import { InputError } from "../errors.ts";
import type { Film } from "./film.ts";
import { decodeFilmThrough } from "./image.ts";
import type { JpegDecoder } from "./jpeg.ts";

/**
 * Reads and decodes an image file.
 * @throws InputError for a file that is missing, unreadable or not an image
 */
export async function readFilm(path: string): Promise<Film> {
  return decodeFilm(await readFilmBytes(path), path);
}

/** The bytes of an image file. @throws InputError for one that is missing or unreadable */
export async function readFilmBytes(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new InputError(path, READ_FAILURES[error.code ?? ""] ?? `cannot be read (${error.code}); check the disk`);
  });
}

/** `decodeFilmThrough` with sharp for JPEG. */
export function decodeFilm(bytes: Uint8Array, name: string): Promise<Film> {
  return decodeFilmThrough({ decodeJpeg }, bytes, name);
}

const READ_FAILURES: Record<string, string> = {
  ENOENT: "no such file; check the path",
  ENOTDIR: "no such file; check the path",
  EISDIR: "is a folder; name the image files in it",
  EACCES: "may not be read; check its permissions",
};

const decodeJpeg: JpegDecoder = async (bytes, components) => {
  const image = sharp(bytes, { failOn: "warning", ignoreIcc: true, limitInputPixels: false });
  if (components === 4) return cmykToRgb(image);
  const channels = components === 1 ? 1 : 3;
  const { data, info } = await image.toColourspace(channels === 1 ? "b-w" : "srgb").raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels, data };
};

/** The plain conversion without profiles that Pillow makes: R = (255 - K) (255 - C) / 255. */
async function cmykToRgb(image: Sharp) {
  const { data, info } = await image.pipelineColourspace("cmyk").toColourspace("cmyk").raw().toBuffer({ resolveWithObject: true });
  const rgb = new Uint8Array(info.width * info.height * 3);
  for (let i = 0; i < info.width * info.height; i++) {
    const light = 255 - data[4 * i + 3];
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = Math.round((light * (255 - data[4 * i + c])) / 255);
  }
  return { width: info.width, height: info.height, channels: 3 as const, data: rgb };
}
