/**
 * The CNR of maps against one mask, without scaling them to the image: sums of the scaled map's values are linear in the
 * map, sums of their squares quadratic, and a pixel of the image draws on a square of four. What the sums take of each
 * pixel and of each pair of neighbours is found once; a map then costs a dozen operations for each pixel of its own.
 */

/** Sums over some pixels of the image. A pixel k of the map has the neighbours k + 1, k + side - 1, k + side, k + side + 1. */
interface Sums {
  /** How many pixels of the image. */
  count: number;
  /** The sum of values is that of linear[k] x[k]: [side * side]. */
  linear: Float64Array;
  /** The sum of squares is that of own[k] x[k]^2 and of neighbour[k] x[k] x[neighbour of k]. */
  own: Float64Array;
  right: Float64Array;
  belowLeft: Float64Array;
  below: Float64Array;
  belowRight: Float64Array;
}

/** Sides of the map and of the image, which is at least as large. */
export interface MeterSides {
  side: number;
  imageSize: number;
}

/**
 * Contrast to noise of maps [side * side], scaled to the image, inside `truth` [imageSize * imageSize] against outside: as
 * `truthMetrics` has it, whatever the map's mask. 0 for a constant map.
 */
export function contrastMeter(truth: Uint8Array, sides: MeterSides): (map: ArrayLike<number>) => number {
  const [outside, inside] = sumsOver(truth, sides);
  return (map) => {
    const [a, b] = [meanAndVariance(inside, map, sides.side), meanAndVariance(outside, map, sides.side)];
    const variance = a.variance + b.variance;
    return variance > 0 ? (a.mean - b.mean) / Math.sqrt(variance) : 0;
  };
}

/** The sums over the pixels where `truth` is 0, and where it is 1. */
function sumsOver(truth: Uint8Array, { side, imageSize }: MeterSides): [outside: Sums, inside: Sums] {
  const sums: [Sums, Sums] = [noSums(side), noSums(side)];
  const axis = axisPlaces(side, imageSize);
  for (let y = 0; y < imageSize; y++) {
    for (let x = 0; x < imageSize; x++) {
      addPixel(sums[truth[y * imageSize + x]], axis.first[y] * side + axis.first[x], axis.second[y], axis.second[x], side);
    }
  }
  return sums;
}

function noSums(side: number): Sums {
  const zeros = () => new Float64Array(side * side);
  return { count: 0, linear: zeros(), own: zeros(), right: zeros(), belowLeft: zeros(), below: zeros(), belowRight: zeros() };
}

/** Bilinear with half-pixel centres and repeated edges: the first of two pixels that each one of `size` draws on, and the weight of the second. */
function axisPlaces(side: number, size: number): { first: Uint32Array; second: Float64Array } {
  const place = (i: number) => Math.min(Math.max(((i + 0.5) * side) / size - 0.5, 0), side - 1);
  const first = Uint32Array.from({ length: size }, (_, i) => Math.max(Math.min(Math.floor(place(i)), side - 2), 0));
  return { first, second: Float64Array.from(first, (at, i) => place(i) - at) };
}

/** Adds what a pixel of the image takes of the square whose first pixel is `k`. */
function addPixel(sums: Sums, k: number, down: number, across: number, side: number): void {
  const [a, b, c, d] = [(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across];
  const { linear, own, right, belowLeft, below, belowRight } = sums;
  sums.count++;
  linear[k] += a;
  linear[k + 1] += b;
  linear[k + side] += c;
  linear[k + side + 1] += d;
  own[k] += a * a;
  own[k + 1] += b * b;
  own[k + side] += c * c;
  own[k + side + 1] += d * d;
  right[k] += 2 * a * b;
  right[k + side] += 2 * c * d;
  below[k] += 2 * a * c;
  below[k + 1] += 2 * b * d;
  belowRight[k] += 2 * a * d;
  belowLeft[k + 1] += 2 * b * c;
}

/** Unbiased variance. */
function meanAndVariance(sums: Sums, map: ArrayLike<number>, side: number): { mean: number; variance: number } {
  const { count, linear, own, right, belowLeft, below, belowRight } = sums;
  let sum = 0;
  let squares = 0;
  for (let k = 0; k < linear.length; k++) {
    const x = map[k];
    sum += linear[k] * x;
    squares += own[k] * x * x;
    // in the last row and column there is nothing to the right or below, and the weights are 0
    if (k + 1 < map.length) squares += right[k] * x * map[k + 1];
    if (k + side < map.length) squares += x * (belowLeft[k] * map[k + side - 1] + below[k] * map[k + side]);
    if (k + side + 1 < map.length) squares += belowRight[k] * x * map[k + side + 1];
  }
  return { mean: sum / count, variance: (squares - (sum * sum) / count) / (count - 1) };
}
