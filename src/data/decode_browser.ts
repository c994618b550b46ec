import type { Film } from "./film.ts";
import { decodeFilmThrough } from "./image.ts";
import type { JpegDecoder } from "./jpeg.ts";

/**
 * `decodeFilmThrough` with the browser's own JPEG decoder.
 * @param dicomCodecs URL of `dcmjs-native-codecs.wasm`; without it the file is looked for beside the page
 */
export function decodeFilm(bytes: Uint8Array, name: string, dicomCodecs?: string): Promise<Film> {
  return decodeFilmThrough({ decodeJpeg, dicomCodecs }, bytes, name);
}

const decodeJpeg: JpegDecoder = async (bytes, components) => {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "image/jpeg" });
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const channels = components === 1 ? 1 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < channels; c++) data[i * channels + c] = rgba[4 * i + c];
  }
  return { width, height, channels, data };
};
