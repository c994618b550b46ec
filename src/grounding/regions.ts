import type { Box } from "../data/preprocess.ts";
import { resizeBilinear, resizeMask } from "./maps.ts";

/** One connected region of a mask, at the model's image size. */
export interface Region {
  /** The least box that holds it, of whole pixels. */
  box: Box;
  /** Pixels. */
  area: number;
  /** Mean of the map over its pixels. */
  meanActivation: number;
}

/** Arguments of `maskRegions`. */
export interface RegionInputs {
  /** [side * side] */
  map: ArrayLike<number>;
  /** [side * side], 1 is foreground. */
  mask: ArrayLike<number>;
  /** Side of map and mask: that of the latent. */
  side: number;
  /** Side of the model's image in pixels, 512 for Stable Diffusion 1.5. */
  imageSize: number;
}

/**
 * The connected regions of a mask, the largest first. Map and mask are scaled to the image (bilinear; the mask is then
 * rounded). Pixels that touch at an edge or a corner are connected, as by default in OpenCV and scikit-image.
 */
export function maskRegions({ map, mask, side, imageSize }: RegionInputs): Region[] {
  const activation = resizeBilinear(map, side, imageSize);
  const open = resizeMask(mask, side, imageSize);
  const regions: Region[] = [];
  for (let start = 0; start < open.length; start++) {
    if (open[start]) regions.push(takeRegion(open, activation, imageSize, start));
  }
  return regions.sort((a, b) => b.area - a.area);
}

/** Floods one region from `start` and clears its pixels in `open`. */
function takeRegion(open: Uint8Array, activation: Float32Array, size: number, start: number): Region {
  let [left, right, top, bottom] = [size, 0, size, 0];
  let area = 0;
  let sum = 0;
  open[start] = 0;
  const queue = [start];
  for (let pixel = queue.pop(); pixel !== undefined; pixel = queue.pop()) {
    const x = pixel % size;
    const y = Math.floor(pixel / size);
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
    area++;
    sum += activation[pixel];
    for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, size - 1); row++) {
      for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, size - 1); column++) {
        const neighbour = row * size + column;
        if (!open[neighbour]) continue;
        open[neighbour] = 0;
        queue.push(neighbour);
      }
    }
  }
  return { box: [left, top, right - left + 1, bottom - top + 1], area, meanActivation: sum / area };
}
