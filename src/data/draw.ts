import type { Box } from "./preprocess.ts";

/** 8-bit RGBA pixels, rows from the top, not premultiplied: what `ImageData` holds. */
export interface Picture {
  /** Pixels of a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** height * width * 4 values from 0 to 255: red, green, blue and alpha of each pixel. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** Red, green, blue, 0 to 255. */
export type Colour = ArrayLike<number>;

const HALO = [0, 0, 0];

/** Makes a pixel opaque in a colour. */
export function paint({ data }: Picture, pixel: number, colour: Colour): void {
  for (let c = 0; c < 3; c++) data[4 * pixel + c] = colour[c];
  data[4 * pixel + 3] = 255;
}

/** Outlines boxes in lines of 2 pixels, centred on their edges, with a dark halo that keeps them visible on bright film. */
export function drawBoxes(picture: Picture, boxes: readonly Box[], colour: Colour): void {
  const half = lineWidth(picture) / 2;
  for (const box of boxes) drawFrame(picture, box, 2 * half, HALO);
  for (const box of boxes) drawFrame(picture, box, half, colour);
}

/** Draws the border of the pixels that are set, as a line inside them and a dark halo outside. */
export function drawContour(picture: Picture, isSet: Uint8Array, colour: Colour): void {
  const { width, height } = picture;
  const inside = lineWidth(picture);
  const outside = inside / 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = isSet[y * width + x];
      const reach = value ? inside : outside;
      if (differsNearby(isSet, picture, x, y, reach)) paint(picture, y * width + x, value ? colour : HALO);
    }
  }
}

/** Is there a pixel of the other kind `reach` away, straight or diagonally? The picture's own border is not one. */
function differsNearby(isSet: Uint8Array, { width, height }: Picture, x: number, y: number, reach: number): boolean {
  const value = isSet[y * width + x];
  for (let nearY = y - reach; nearY <= y + reach; nearY += reach) {
    if (nearY < 0 || nearY >= height) continue;
    for (let nearX = x - reach; nearX <= x + reach; nearX += reach) {
      if (nearX >= 0 && nearX < width && isSet[nearY * width + nearX] !== value) return true;
    }
  }
  return false;
}

/** 2 pixels up to 1,024 on the longer side, then in proportion, so that lines survive when the picture is shown small. */
function lineWidth({ width, height }: Picture): number {
  return 2 * Math.max(Math.round(Math.max(width, height) / 1024), 1);
}

/** A frame that reaches `half` to both sides of the box's edges. */
function drawFrame(picture: Picture, [x, y, width, height]: Box, half: number, colour: Colour): void {
  const [left, top, right, bottom] = [x, y, x + width, y + height].map(Math.round);
  fill(picture, left - half, top - half, right + half, top + half, colour);
  fill(picture, left - half, bottom - half, right + half, bottom + half, colour);
  fill(picture, left - half, top - half, left + half, bottom + half, colour);
  fill(picture, right - half, top - half, right + half, bottom + half, colour);
}

function fill(picture: Picture, left: number, top: number, right: number, bottom: number, colour: Colour): void {
  for (let y = Math.max(top, 0); y < Math.min(bottom, picture.height); y++) {
    for (let x = Math.max(left, 0); x < Math.min(right, picture.width); x++) paint(picture, y * picture.width + x, colour);
  }
}
