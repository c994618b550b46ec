/** Sides in pixels. */
export interface Sides {
  readonly width: number;
  readonly height: number;
}

/** A part of an image; it may reach beyond it. */
export interface Window extends Sides {
  readonly left: number;
  readonly top: number;
}

/** For an output pixel of one axis: the first input pixel that it draws on, and the weights from there on. */
interface AxisWeights {
  readonly first: number;
  readonly weights: readonly number[];
}

/** Options of `resizeBilinear`. */
export interface ResizeOptions {
  /** The part of the resized image that is wanted; 0 where it reaches beyond. Default: all of it. */
  window?: Window;
  /** Whether pixels are averaged where the image shrinks, as torchvision's Resize does; else torch's interpolate. Default true. */
  antialias?: boolean;
}

/**
 * Bilinear resize with half-pixel centres, as torchvision resizes tensors. One channel on the CPU.
 * @returns window.height * window.width values, computed in double
 */
export function resizeBilinear(image: ArrayLike<number>, from: Sides, to: Sides, options: ResizeOptions = {}): Float32Array {
  const { window = { left: 0, top: 0, ...to }, antialias = true } = options;
  const columns = axisWeights(from.width, to.width, window.left, window.width, antialias);
  const rows = axisWeights(from.height, to.height, window.top, window.height, antialias);
  const narrowed = new Float64Array(from.height * window.width);
  for (let y = 0; y < from.height; y++) {
    for (let x = 0; x < window.width; x++) {
      narrowed[y * window.width + x] = weigh(image, columns[x], y * from.width, 1);
    }
  }
  const resized = new Float32Array(window.height * window.width);
  const sums = new Float64Array(window.width);
  for (let y = 0; y < window.height; y++) {
    const { first, weights } = rows[y];
    sums.fill(0);
    for (let k = 0; k < weights.length; k++) addScaled(sums, narrowed, (first + k) * window.width, weights[k]);
    resized.set(sums, y * window.width);
  }
  return resized;
}

/** sums += weight * values[origin...]: whole rows at a time, which is several times faster than pixel by pixel. */
function addScaled(sums: Float64Array, values: Float64Array, origin: number, weight: number): void {
  for (let x = 0; x < sums.length; x++) sums[x] += weight * values[origin + x];
}

function weigh(values: ArrayLike<number>, { first, weights }: AxisWeights, origin: number, stride: number): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k] * values[origin + (first + k) * stride];
  return sum;
}

/**
 * Output pixels `start` to `start + count`: a triangle about each one's centre, as wide as the shrinkage where that is
 * averaged over, cut off at the border and brought to sum 1. No weights where there is no such pixel.
 */
function axisWeights(inputs: number, outputs: number, start: number, count: number, antialias: boolean): AxisWeights[] {
  const scale = inputs / outputs;
  const radius = antialias ? Math.max(scale, 1) : 1;
  return Array.from({ length: count }, (_, k) => {
    const output = start + k;
    if (output < 0 || output >= outputs) return { first: 0, weights: [] };
    const centre = (output + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - radius + 0.5), 0);
    const end = Math.min(Math.trunc(centre + radius + 0.5), inputs);
    const weights: number[] = [];
    let sum = 0;
    for (let input = first; input < end; input++) {
      const weight = Math.max(1 - Math.abs(input + 0.5 - centre) / radius, 0);
      weights.push(weight);
      sum += weight;
    }
    for (let k = 0; k < weights.length; k++) weights[k] /= sum;
    return { first, weights };
  });
}
