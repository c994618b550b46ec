// The mask of a map: two Gaussians fitted to its values, the mean of their means as threshold, single pixels filtered out.
// The mixture is scikit-learn's GaussianMixture(2, random_state=0) on one feature. The published code leaves the random
// state open: other states move the means by up to 0.003, since the fit stops early (tolerance 1e-3) wherever it started.

/** A Gaussian mixture of two components in one dimension, the one with the lesser mean first. */
export interface Mixture {
  /** In the unit of the values. */
  means: [number, number];
  /** At least 1e-6, scikit-learn's `reg_covar`. */
  variances: [number, number];
  /** Shares of the values; they add up to 1. */
  weights: [number, number];
  /** Rounds of expectation and maximisation. */
  iterations: number;
  /** Whether the log-likelihood settled within the allowed rounds. */
  converged: boolean;
}

/** A map's foreground, and how it was found. */
export interface ActivationMask {
  /** [side * side], 1 is foreground. */
  mask: Uint8Array;
  /** The two Gaussians fitted to the map's values. */
  mixture: Mixture;
  /** Mean of the mixture's means. */
  threshold: number;
}

/** Foreground of a map [side * side]. A constant map has none. */
export function activationMask(map: ArrayLike<number>, side: number): ActivationMask {
  const mixture = fitMixture(map);
  const threshold = (mixture.means[0] + mixture.means[1]) / 2;
  return { mask: maskAbove(map, side, threshold), mixture, threshold };
}

/** Foreground of a map [side * side] above a threshold, single pixels filtered out. */
export function maskAbove(map: ArrayLike<number>, side: number, threshold: number): Uint8Array {
  return filterSinglePixels(Uint8Array.from(map, (value) => Number(value > threshold)), side);
}

/** Interior pixels become the majority of their 3 x 3 neighbourhood (its mean is at least 0.5); border pixels stay. */
function filterSinglePixels(mask: Uint8Array, side: number): Uint8Array {
  const filtered = mask.slice();
  for (let y = 1; y < side - 1; y++) {
    for (let x = 1; x < side - 1; x++) {
      let count = 0;
      for (let row = y - 1; row <= y + 1; row++) {
        for (let column = x - 1; column <= x + 1; column++) count += mask[row * side + column];
      }
      filtered[y * side + x] = Number(count >= 5);
    }
  }
  return filtered;
}

const covarianceFloor = 1e-6; // reg_covar
const likelihoodTolerance = 1e-3; // tol
const maxIterations = 100; // max_iter
const countFloor = 10 * Number.EPSILON;

/** Fits two Gaussians to values by expectation-maximisation from a k-means start. Equal values give two equal means. */
export function fitMixture(values: ArrayLike<number>): Mixture {
  const x = Float64Array.from(values);
  if (x.every((value) => value === x[0])) {
    return { means: [x[0], x[0]], variances: [covarianceFloor, covarianceFloor], weights: [0.5, 0.5], iterations: 0, converged: true };
  }
  const ofSecond = twoMeans(x); // responsibilities of the second component
  let mixture = maximise(x, ofSecond);
  let likelihood = -Infinity;
  let iterations = 0;
  let converged = false;
  while (!converged && iterations < maxIterations) {
    const previous = likelihood;
    likelihood = expect(x, mixture, ofSecond);
    mixture = maximise(x, ofSecond);
    converged = Math.abs(likelihood - previous) < likelihoodTolerance;
    iterations++;
  }
  const order = mixture.means[0] <= mixture.means[1] ? [0, 1] : [1, 0];
  const sorted = (pair: [number, number]): [number, number] => [pair[order[0]], pair[order[1]]];
  return { means: sorted(mixture.means), variances: sorted(mixture.variances), weights: sorted(mixture.weights), iterations, converged };
}

type Components = Pick<Mixture, "means" | "variances" | "weights">;

/** Weights, means and variances from responsibilities. */
function maximise(x: Float64Array, ofSecond: Float64Array): Components {
  const counts: [number, number] = [0, 0];
  const means: [number, number] = [0, 0];
  const variances: [number, number] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    counts[0] += 1 - ofSecond[i];
    counts[1] += ofSecond[i];
    means[0] += (1 - ofSecond[i]) * x[i];
    means[1] += ofSecond[i] * x[i];
  }
  for (const c of [0, 1]) means[c] /= counts[c] += countFloor;
  for (let i = 0; i < x.length; i++) {
    variances[0] += (1 - ofSecond[i]) * (x[i] - means[0]) * (x[i] - means[0]);
    variances[1] += ofSecond[i] * (x[i] - means[1]) * (x[i] - means[1]);
  }
  for (const c of [0, 1]) variances[c] = variances[c] / counts[c] + covarianceFloor;
  const total = counts[0] + counts[1];
  return { means, variances, weights: [counts[0] / total, counts[1] / total] };
}

/** Values whose factors 1 + e (2 at most) are multiplied before their logarithm is taken: a logarithm each is the larger part of the work. */
const factorsAtOnce = 512;

/** Writes the second component's responsibilities; returns the mean log-likelihood. */
function expect(x: Float64Array, { means, variances, weights }: Components, ofSecond: Float64Array): number {
  const offsets = [0, 1].map((c) => Math.log(weights[c]) - Math.log(2 * Math.PI * variances[c]) / 2);
  let sum = 0;
  let factors = 1;
  for (let i = 0; i < x.length; i++) {
    const first = offsets[0] - ((x[i] - means[0]) * (x[i] - means[0])) / (2 * variances[0]);
    const second = offsets[1] - ((x[i] - means[1]) * (x[i] - means[1])) / (2 * variances[1]);
    // log(exp(first) + exp(second)) is the larger one + log(1 + e)
    const e = Math.exp(-Math.abs(first - second));
    ofSecond[i] = (second > first ? 1 : e) / (1 + e);
    sum += Math.max(first, second);
    factors *= 1 + e;
    if (i % factorsAtOnce === factorsAtOnce - 1) {
      sum += Math.log(factors);
      factors = 1;
    }
  }
  return (sum + Math.log(factors)) / x.length;
}

/** The first three draws of NumPy's RandomState(0).random_sample(): one for the first centre, two for candidates of the second. */
const draws = [0.5488135039273248, 0.7151893663724195, 0.6027633760716439];

/** k-means with two centres as scikit-learn's KMeans runs it: k-means++ start, then Lloyd. 1 for each member of the second cluster. */
function twoMeans(x: Float64Array): Float64Array {
  const labels = new Float64Array(x.length);
  let centres = startingCentres(x);
  const tolerance = variance(x) * 1e-4;
  for (let round = 0; round < 300; round++) {
    const changed = assign(x, centres, labels);
    if (round > 0 && !changed) return labels;
    const moved = centresOf(x, labels);
    const shift = (moved[0] - centres[0]) ** 2 + (moved[1] - centres[1]) ** 2;
    centres = moved;
    if (shift <= tolerance) break;
  }
  assign(x, centres, labels);
  return labels;
}

/** The value at a draw, then of two values drawn by their squared distance from it the one that leaves the least sum of squares. */
function startingCentres(x: Float64Array): [number, number] {
  const first = x[Math.floor(draws[0] * x.length)];
  const distances = x.map((value) => (value - first) ** 2);
  const potential = distances.reduce((sum, distance) => sum + distance, 0);
  const candidates = draws.slice(1).map((draw) => {
    const value = x[drawByWeight(distances, draw * potential)];
    return { value, left: x.reduce((sum, other, i) => sum + Math.min(distances[i], (other - value) ** 2), 0) };
  });
  return [first, candidates[1].left < candidates[0].left ? candidates[1].value : candidates[0].value];
}

/** The first index at which the running sum of weights reaches `target`. */
function drawByWeight(weights: Float64Array, target: number): number {
  let sum = 0;
  const index = weights.findIndex((weight) => (sum += weight) >= target);
  return index < 0 ? weights.length - 1 : index;
}

/** Labels every value with its nearest centre; returns whether any label changed. */
function assign(x: Float64Array, centres: [number, number], labels: Float64Array): boolean {
  let changed = false;
  for (let i = 0; i < x.length; i++) {
    const label = Number(Math.abs(x[i] - centres[1]) < Math.abs(x[i] - centres[0]));
    changed ||= label !== labels[i];
    labels[i] = label;
  }
  return changed;
}

/** Means of the two clusters. Neither is ever empty: the least and the greatest value have different nearest centres. */
function centresOf(x: Float64Array, labels: Float64Array): [number, number] {
  const sums = [0, 0];
  const counts = [0, 0];
  for (let i = 0; i < x.length; i++) {
    sums[labels[i]] += x[i];
    counts[labels[i]]++;
  }
  return [sums[0] / counts[0], sums[1] / counts[1]];
}

function variance(x: Float64Array): number {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  return x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
}
