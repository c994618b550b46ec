import { resizeBilinear } from "./resize.ts";

/** A box: left, top, width, height in pixels of a film or of the model's image, fractions allowed. */
export type Box = readonly [x: number, y: number, width: number, height: number];

/**
 * How a film becomes the model's square image: resized to `resizedWidth` x `resizedHeight`, then a square of `size` is
 * cut out at (`cropLeft`, `cropTop`) of the resized film. A negative crop is padding, which is 0 in the model's [-1, 1].
 */
export interface PreprocessPlan {
  /** Of the film, in pixels. */
  readonly width: number;
  /** Of the film, in pixels. */
  readonly height: number;
  /** In whole pixels; `width` where the film is not resized. */
  readonly resizedWidth: number;
  /** In whole pixels; `height` where the film is not resized. */
  readonly resizedHeight: number;
  /** Whole columns cut off at the left of the resized film; below 0, columns of padding. */
  readonly cropLeft: number;
  /** Whole rows cut off at the top of the resized film; below 0, rows of padding. */
  readonly cropTop: number;
  /** Side of the model's image in pixels, 512 for Stable Diffusion 1.5. */
  readonly size: number;
}

/**
 * torchvision's `Resize` of the shorter side, where the longer one exceeds `size`, and `CenterCrop`, to the pixel:
 * the resized longer side is cut to an integer, halves of a crop offset round to the even one, and a film smaller than
 * `size` is not enlarged but padded, the odd pixel at the right and bottom.
 */
export function planPreprocess(width: number, height: number, size: number): PreprocessPlan {
  return Math.max(width, height) <= size ? planCrop(width, height, [width, height], size) : planResizeCrop(width, height, size, size);
}

/** torchvision's `Resize(shorter)` and `CenterCrop(size)`: a film smaller than that is enlarged. */
export function planResizeCrop(width: number, height: number, shorter: number, size: number): PreprocessPlan {
  const resized = width <= height ? ([shorter, Math.trunc((shorter * height) / width)] as const) : ([Math.trunc((shorter * width) / height), shorter] as const);
  return planCrop(width, height, resized, size);
}

function planCrop(width: number, height: number, [resizedWidth, resizedHeight]: readonly [number, number], size: number): PreprocessPlan {
  return { width, height, resizedWidth, resizedHeight, cropLeft: cropOffset(resizedWidth, size), cropTop: cropOffset(resizedHeight, size), size };
}

function cropOffset(side: number, size: number): number {
  if (side < size) return -Math.floor((size - side) / 2);
  const half = (side - size) / 2;
  const isTie = half % 1 === 0.5;
  return isTie ? 2 * Math.round(half / 2) : half;
}

/** Boxes of the film in pixels of the model's image, clipped to it; one that lies outside keeps its place with no area. */
export function transformBoxes(boxes: readonly Box[], plan: PreprocessPlan): Box[] {
  const scaleX = plan.resizedWidth / plan.width;
  const scaleY = plan.resizedHeight / plan.height;
  const clip = (value: number) => Math.min(Math.max(value, 0), plan.size);
  return boxes.map(([x, y, width, height]) => {
    const left = clip(x * scaleX - plan.cropLeft);
    const top = clip(y * scaleY - plan.cropTop);
    const right = clip((x + width) * scaleX - plan.cropLeft);
    const bottom = clip((y + height) * scaleY - plan.cropTop);
    return [left, top, right - left, bottom - top];
  });
}

/**
 * The boxes as an image that went through the film's own transform: 1 inside, 0 outside, between at resized edges.
 * Box edges are rounded to whole pixels of the film first.
 * @returns size * size values
 */
export function boxMask(boxes: readonly Box[], plan: PreprocessPlan): Float32Array {
  const { width, height, resizedWidth, resizedHeight, cropLeft, cropTop, size } = plan;
  const mask = new Float32Array(width * height);
  for (const [x, y, boxWidth, boxHeight] of boxes) {
    const left = Math.max(Math.round(x), 0);
    const right = Math.min(Math.round(x + boxWidth), width);
    const bottom = Math.min(Math.round(y + boxHeight), height);
    for (let row = Math.max(Math.round(y), 0); row < bottom; row++) {
      if (right > left) mask.fill(1, row * width + left, row * width + right);
    }
  }
  const to = { width: resizedWidth, height: resizedHeight };
  return resizeBilinear(mask, { width, height }, to, { window: { left: cropLeft, top: cropTop, width: size, height: size } });
}
