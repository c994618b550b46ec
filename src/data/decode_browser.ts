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

const decodeJpeg: JpegDecoder = async (bytes) => {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "image/jpeg" });
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  return { width, height, channels: 3, data };
};
