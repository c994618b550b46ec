import { jetIndex, jetTable } from "./colormap.ts";
import { drawBoxes, drawContour, paint, type Picture } from "./draw.ts";
import type { Film } from "./film.ts";
import type { Box, PreprocessPlan } from "./preprocess.ts";

/** What an overlay shows besides film and map. */
export interface OverlayOptions {
  /** Weight of the map's colours, 0.3 by default. */
  readonly alpha?: number;
  /** Boxes to outline in white, in pixels of the film. */
  readonly boxes?: readonly Box[];
  /** A mask of side * side values, whose border is drawn in magenta: the two are the colours that jet lacks. */
  readonly outline?: ArrayLike<number>;
}

const WHITE = [255, 255, 255] as const;
const MAGENTA = [255, 0, 255] as const;

/**
 * The map in jet colours over the film. What the model did not see of the film, because it was cropped, stays plain.
 * @param map side * side values in [0, 1], over the model's image
 * @returns the film's size, opaque
 */
export function overlay(film: Film, map: ArrayLike<number>, side: number, plan: PreprocessPlan, options: OverlayOptions = {}): Picture {
  const { alpha = 0.3, boxes = [], outline } = options;
  const picture = toPicture(film);
  const { data } = picture;
  forSeenPixels(map, side, plan, (pixel, value) => {
    const colour = jetIndex(value);
    for (let c = 0; c < 3; c++) data[4 * pixel + c] = (1 - alpha) * data[4 * pixel + c] + alpha * jetTable[colour + c];
  });
  if (outline) drawContour(picture, filmMask(outline, side, plan), MAGENTA);
  drawBoxes(picture, boxes, WHITE);
  return picture;
}

/** The map alone in jet colours at the film's size; what the model did not see is transparent. */
export function heatPicture(map: ArrayLike<number>, side: number, plan: PreprocessPlan): Picture {
  const picture = emptyPicture(plan);
  forSeenPixels(map, side, plan, (pixel, value) => paint(picture, pixel, jetTable.subarray(jetIndex(value), jetIndex(value) + 3)));
  return picture;
}

/** The mask at the film's size: white where it points, black elsewhere. */
export function maskPicture(mask: ArrayLike<number>, side: number, plan: PreprocessPlan): Picture {
  const picture = emptyPicture(plan);
  const isForeground = filmMask(mask, side, plan);
  for (let pixel = 0; pixel < isForeground.length; pixel++) paint(picture, pixel, isForeground[pixel] ? WHITE : [0, 0, 0]);
  return picture;
}

/** The mask of side * side values at the film's size: 1 at pixels where it, spread bilinearly, rounds to 1. [height * width] */
export function filmMask(mask: ArrayLike<number>, side: number, plan: PreprocessPlan): Uint8Array {
  const pixels = new Uint8Array(plan.width * plan.height);
  forSeenPixels(mask, side, plan, (pixel, value) => {
    if (value >= 0.5) pixels[pixel] = 1;
  });
  return pixels;
}

/** Where a film pixel's centre lies between two cells of the map along one axis. */
interface Between {
  readonly lower: number;
  readonly upper: number;
  readonly fraction: number;
}

/** Calls `visit` with each film pixel that the model saw and the map's value there: bilinear, half-pixel centres. */
function forSeenPixels(map: ArrayLike<number>, side: number, plan: PreprocessPlan, visit: (pixel: number, value: number) => void): void {
  const columns = axisCells(plan.width, plan.resizedWidth, plan.cropLeft, plan.size, side);
  const rows = axisCells(plan.height, plan.resizedHeight, plan.cropTop, plan.size, side);
  for (let y = 0; y < plan.height; y++) {
    const row = rows[y];
    if (!row) continue;
    for (let x = 0; x < plan.width; x++) {
      const column = columns[x];
      if (!column) continue;
      const top = mix(map[row.lower * side + column.lower], map[row.lower * side + column.upper], column.fraction);
      const bottom = mix(map[row.upper * side + column.lower], map[row.upper * side + column.upper], column.fraction);
      visit(y * plan.width + x, mix(top, bottom, row.fraction));
    }
  }
}

/** For each film pixel of one axis, its place in the map; undefined outside the model's image. */
function axisCells(pixels: number, resized: number, crop: number, size: number, side: number): (Between | undefined)[] {
  return Array.from({ length: pixels }, (_, i) => {
    const model = ((i + 0.5) * resized) / pixels - crop;
    if (model < 0 || model >= size) return undefined;
    const cell = Math.min(Math.max((model * side) / size - 0.5, 0), side - 1);
    const lower = Math.floor(cell);
    return { lower, upper: Math.min(lower + 1, side - 1), fraction: cell - lower };
  });
}

function mix(a: number, b: number, fraction: number): number {
  return a + (b - a) * fraction;
}

function toPicture({ width, height, channels, data }: Film): Picture {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[channels === 3 ? 3 * i + c : i];
  }
  return { width, height, data: rgba };
}

function emptyPicture({ width, height }: PreprocessPlan): Picture {
  return { width, height, data: new Uint8ClampedArray(width * height * 4) };
}
