import type { Film } from "../data/film.ts";
import { planPreprocess } from "../data/preprocess.ts";
import { resizeBilinear } from "../data/resize.ts";

/**
 * A film as the VAE reads it: RGB (grey repeated) x / 127.5 - 1, resized and cropped to a square (method, section 2).
 * -> [size, size, 3]
 */
export function prepareImage(film: Film, size: number): Float32Array {
  const { width, height, channels } = film;
  const { resizedWidth, resizedHeight, cropLeft, cropTop } = planPreprocess(width, height, size);
  const image = new Float32Array(size * size * 3);
  const plane = new Float32Array(width * height);
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < plane.length; i++) plane[i] = film.data[i * channels + channel] / 127.5 - 1;
    const window = { left: cropLeft, top: cropTop, width: size, height: size };
    const resized = resizeBilinear(plane, { width, height }, { width: resizedWidth, height: resizedHeight }, { window });
    for (let i = 0; i < resized.length; i++) {
      for (let copy = channel; copy < 3; copy += channels) image[3 * i + copy] = resized[i];
    }
  }
  return image;
}

/** A number that stands for an image's pixels: keeps its noise apart from other images' (FNV-1a over the model's input). */
export function imageKey(image: Float32Array): number {
  const words = new Uint32Array(image.buffer, image.byteOffset, image.length);
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
  return hash >>> 0;
}
