import type { Plane } from "../data/planes.ts";
import { InputError } from "../errors.ts";

/** Exponents of the scales, the finest first (Wang, Simoncelli and Bovik 2003, section 3.2). */
const exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/** (0.01 L)^2 and (0.03 L)^2 for the range L = 1. */
const [C1, C2] = [0.01 ** 2, 0.03 ** 2];
const RADIUS = 5;
const window = gaussianWindow(RADIUS, 1.5);

/** Shortest side that leaves a whole window at the coarsest of the five scales. */
export const SMALLEST_SIDE = (2 * RADIUS + 1) * 2 ** (exponents.length - 1);

/** Weights of a Gaussian at -radius to radius, with sum 1. */
function gaussianWindow(radius: number, sigma: number): Float64Array {
  const raw = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
  const sum = raw.reduce((a, b) => a + b);
  return raw.map((weight) => weight / sum);
}

/**
 * Multi-scale structural similarity of two images of the same size: windows of 11x11 weighted by a Gaussian of sigma
 * 1.5, five scales, each half the last by 2x2 means, negative similarities counted as 0. Computed in double. The mean
 * over the channels where there are several. 1 for equal images.
 * Throws InputError where the sizes differ or a side is shorter than SMALLEST_SIDE.
 */
export function multiScaleSsim(a: readonly Plane[], b: readonly Plane[]): number {
  const [{ width, height }] = a;
  const fits = a.length === b.length && [...a, ...b].every((plane) => plane.width === width && plane.height === height);
  if (!fits) throw new InputError("multiScaleSsim", `compares images of one size; got ${sizeOf(a)} and ${sizeOf(b)}`);
  if (Math.min(width, height) < SMALLEST_SIDE) throw new InputError("multiScaleSsim", `needs sides of ${SMALLEST_SIDE} pixels or more; got ${sizeOf(a)}`);
  let scales = a.map((plane, channel): [Plane, Plane] => [plane, b[channel]]);
  let product = 1;
  for (const [level, exponent] of exponents.entries()) {
    const isLast = level === exponents.length - 1;
    const similarities = scales.map(([x, y]) => structuralSimilarity(x, y));
    const values = similarities.map(({ ssim, contrast }) => (isLast ? ssim : contrast));
    product *= Math.max(0, mean(values)) ** exponent;
    if (!isLast) scales = scales.map(([x, y]) => [halved(x), halved(y)]);
  }
  return product;
}

const sizeOf = (planes: readonly Plane[]) => `${planes[0].width}x${planes[0].height} in ${planes.length} channels`;

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;

/** Means over all whole windows of the SSIM and of its factor for contrast and structure. */
function structuralSimilarity(x: Plane, y: Plane): { ssim: number; contrast: number } {
  const product = (p: Plane, q: Plane): Plane => ({ ...p, data: p.data.map((value, i) => value * q.data[i]) });
  const [mx, my, mxx, myy, mxy] = [x, y, product(x, x), product(y, y), product(x, y)].map(blurred);
  let [ssim, contrast] = [0, 0];
  for (let i = 0; i < mx.length; i++) {
    const covariance = mxy[i] - mx[i] * my[i];
    const variances = mxx[i] - mx[i] ** 2 + (myy[i] - my[i] ** 2);
    const factor = (2 * covariance + C2) / (variances + C2);
    contrast += factor;
    ssim += (factor * (2 * mx[i] * my[i] + C1)) / (mx[i] ** 2 + my[i] ** 2 + C1);
  }
  return { ssim: ssim / mx.length, contrast: contrast / mx.length };
}

/** The Gaussian mean of every whole window: (height - 10) * (width - 10) values. */
function blurred({ width, height, data }: Plane): Float64Array {
  const outWidth = width - 2 * RADIUS;
  const rows = new Float64Array(height * outWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++) rows[y * outWidth + x] = weigh(data, y * width + x, 1);
  }
  const means = new Float64Array((height - 2 * RADIUS) * outWidth);
  for (let i = 0; i < means.length; i++) means[i] = weigh(rows, i, outWidth);
  return means;
}

function weigh(values: Float64Array, first: number, stride: number): number {
  let sum = 0;
  for (let k = 0; k < window.length; k++) sum += window[k] * values[first + k * stride];
  return sum;
}

/** Means of 2x2 pixels; an odd last row or column is left out. */
function halved({ width, height, data }: Plane): Plane {
  const [outWidth, outHeight] = [width >> 1, height >> 1];
  const means = new Float64Array(outWidth * outHeight);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const at = 2 * (y * width + x);
      means[y * outWidth + x] = (data[at] + data[at + 1] + data[at + width] + data[at + width + 1]) / 4;
    }
  }
  return { width: outWidth, height: outHeight, data: means };
}
