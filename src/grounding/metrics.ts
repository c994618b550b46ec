import type { Box } from "../data/preprocess.ts";
import type { RegionInputs } from "./regions.ts";
import { type Point, argmax, normalised, resizeBilinear, resizeMask } from "./maps.ts";

/** How well a map and its mask match the boxes of one image: one row of the published results. */
export interface GroundingMetrics {
  /** Intersection over union of mask and boxes. */
  iou: number;
  /** Mean of the IoU of the foreground and that of the background. */
  miou: number;
  /** `iou` of the rectangle around the mask, whose last column and row are left out as in the published code. */
  boxIou: number;
  /** `miou` of the same rectangle. */
  boxMiou: number;
  /** Pixels between the centres of the rectangle and of the box; undefined for several boxes. */
  distance: number | undefined;
  /** Contrast to noise of the map, inside the boxes against outside: negative where the inside is weaker. */
  cnr: number;
  /** |cnr|, as the paper writes it. */
  absoluteCnr: number;
  /** Area under the receiver operating characteristic over pixels; NaN where the boxes hold all pixels or none. */
  aucRoc: number;
  /** 1 where the map's peak lies in a box, else 0. */
  top1: number;
}

/** Arguments of `groundingMetrics`. */
export interface MetricInputs extends RegionInputs {
  /** Of whole pixels of the model's image. */
  boxes: readonly Box[];
}

/** Arguments of `truthMetrics`. */
export interface TruthInputs extends RegionInputs {
  /** [imageSize * imageSize], 1 inside the boxes. */
  truth: Uint8Array;
  /** How many boxes `truth` was made of. */
  boxCount: number;
}

/** The metrics of one map (section 3.3 of the paper) against boxes of whole pixels. */
export function groundingMetrics({ boxes, ...inputs }: MetricInputs): GroundingMetrics {
  return truthMetrics({ ...inputs, truth: paintBoxes(boxes, inputs.imageSize), boxCount: boxes.length });
}

/**
 * The metrics of one map against the boxes' own mask. Map and predicted mask are scaled to the image; an empty predicted
 * mask scores 0 on everything.
 */
export function truthMetrics({ map, mask, side, imageSize, truth, boxCount }: TruthInputs): GroundingMetrics {
  const predicted = resizeMask(mask, side, imageSize);
  const around = extent(predicted, imageSize);
  if (!around) return { iou: 0, miou: 0, boxIou: 0, boxMiou: 0, distance: 0, cnr: 0, absoluteCnr: 0, aucRoc: 0, top1: 0 };
  const activation = resizeBilinear(normalised(map), side, imageSize);
  // The rectangle's last column and row are left out: the published code takes them as an exclusive end.
  const rectangle = paintBoxes([[around.left, around.top, around.right - around.left, around.bottom - around.top]], imageSize);
  const [iou, miou] = overlap(truth, predicted);
  const [boxIou, boxMiou] = overlap(truth, rectangle);
  const [inside, outside] = parted(activation, truth);
  const cnr = contrastToNoise(inside, outside);
  const peak = argmax(activation, imageSize);
  return {
    iou,
    miou,
    boxIou,
    boxMiou,
    distance: boxCount === 1 ? centreDistance(around, extent(truth, imageSize)) : undefined,
    cnr,
    absoluteCnr: Math.abs(cnr),
    aucRoc: areaUnderRoc(inside, outside),
    top1: truth[peak.y * imageSize + peak.x],
  };
}

/** Whether a point lies in one of the boxes. */
export function inBoxes({ x, y }: Point, boxes: readonly Box[]): boolean {
  return boxes.some(([left, top, width, height]) => x >= left && x < left + width && y >= top && y < top + height);
}

/** 1 in the boxes, 0 outside. -> [size * size] */
function paintBoxes(boxes: readonly Box[], size: number): Uint8Array {
  const painted = new Uint8Array(size * size);
  for (const [x, y, w, h] of boxes) {
    for (let row = Math.max(y, 0); row < Math.min(y + h, size); row++) {
      painted.fill(1, row * size + Math.max(x, 0), row * size + Math.max(Math.min(x + w, size), 0));
    }
  }
  return painted;
}

interface Extent {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** First and last column and row of a mask; undefined where it is empty. */
function extent(mask: Uint8Array, size: number): Extent | undefined {
  const found = { left: size, right: -1, top: size, bottom: -1 };
  for (let y = 0; y < size; y++) {
    const row = mask.subarray(y * size, (y + 1) * size);
    const left = row.indexOf(1);
    if (left < 0) continue;
    found.left = Math.min(found.left, left);
    found.right = Math.max(found.right, row.lastIndexOf(1));
    found.top = Math.min(found.top, y);
    found.bottom = y;
  }
  return found.bottom < 0 ? undefined : found;
}

function centreDistance(a: Extent, b: Extent | undefined): number {
  if (!b) return NaN; // the box lies outside the image
  return Math.hypot(a.left + a.right - b.left - b.right, a.top + a.bottom - b.top - b.bottom) / 2;
}

/** IoU of the foregrounds, and its mean with that of the backgrounds. An empty union counts as 0. */
function overlap(truth: Uint8Array, predicted: Uint8Array): [iou: number, miou: number] {
  let [both, expected, found] = [0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    both += truth[i] & predicted[i];
    expected += truth[i];
    found += predicted[i];
  }
  const wrong = expected + found - 2 * both; // in one of the two alone
  const neither = truth.length - both - wrong;
  const ratio = (shared: number) => (shared === 0 ? 0 : shared / (shared + wrong));
  return [ratio(both), (ratio(both) + ratio(neither)) / 2];
}

/** The values inside the boxes and those outside, each in reading order. */
function parted(values: Float32Array, truth: Uint8Array): [inside: Float32Array, outside: Float32Array] {
  const parts = [new Float32Array(values.length), new Float32Array(values.length)];
  const counts = [0, 0];
  for (let i = 0; i < values.length; i++) parts[truth[i]][counts[truth[i]]++] = values[i];
  return [parts[1].subarray(0, counts[1]), parts[0].subarray(0, counts[0])];
}

/** (mean inside - mean outside) / sqrt(variance inside + variance outside), unbiased variances. */
function contrastToNoise(inside: Float32Array, outside: Float32Array): number {
  const [a, b] = [meanAndVariance(inside), meanAndVariance(outside)];
  return (a.mean - b.mean) / Math.sqrt(a.variance + b.variance);
}

function meanAndVariance(values: Float32Array): { mean: number; variance: number } {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] - mean) * (values[i] - mean);
  return { mean, variance: squares / (values.length - 1) };
}

/** The share of pairs of an inside and an outside pixel in which the inside one is greater; equal ones count half. */
function areaUnderRoc(inside: Float32Array, outside: Float32Array): number {
  const sorted = ascending(inside);
  const below = countsBelow(sorted);
  let pairs = 0;
  for (let i = 0; i < outside.length; i++) {
    const value = outside[i];
    const [start, end] = [below[bucketOf(value)], below[bucketOf(value) + 1]];
    const less = countUpTo(sorted, value, start, end, false);
    const notGreater = sorted[less] === value ? countUpTo(sorted, value, less, end, true) : less;
    pairs += sorted.length - (less + notGreater) / 2;
  }
  return pairs / (inside.length * outside.length);
}

/** Parts of [0, 1] in which values are looked up. */
const buckets = 1024;

function bucketOf(value: number): number {
  return Math.min(Math.floor(value * buckets), buckets - 1);
}

/** Of sorted values, how many lie in earlier buckets than each, and all of them at the end. */
function countsBelow(sorted: Float32Array): Uint32Array {
  const below = new Uint32Array(buckets + 1);
  for (let i = 0; i < sorted.length; i++) below[bucketOf(sorted[i]) + 1]++;
  for (let bucket = 0; bucket < buckets; bucket++) below[bucket + 1] += below[bucket];
  return below;
}

/** How many of sorted values are below `value`, or (`orEqual`) not above it. It is known that `start` are, and `end` at most. */
function countUpTo(sorted: Float32Array, value: number, start: number, end: number, orEqual: boolean): number {
  let [low, high] = [start, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value || (orEqual && sorted[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Values from 0 on in ascending order: a radix sort, since floats that are not negative order as their bits do. */
function ascending(values: Float32Array): Float32Array {
  let from = new Uint32Array(Float32Array.from(values).buffer);
  let to = new Uint32Array(from.length);
  for (const shift of [0, 11, 22]) {
    const places = new Uint32Array(2049);
    for (let i = 0; i < from.length; i++) places[((from[i] >>> shift) & 2047) + 1]++;
    for (let digit = 1; digit < 2048; digit++) places[digit] += places[digit - 1];
    for (let i = 0; i < from.length; i++) to[places[(from[i] >>> shift) & 2047]++] = from[i];
    [from, to] = [to, from];
  }
  return new Float32Array(from.buffer);
}
