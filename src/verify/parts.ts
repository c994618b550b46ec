import { InputError } from "../errors.ts";

/** One comparison with a golden. */
export interface Part {
  name: string;
  /** Largest difference, in the terms of the bound; of exact comparisons the number of differences. */
  error: number;
  /** Largest error that passes; absent where the error is told and not judged. */
  bound?: number;
  /** What else to tell. */
  note?: string;
}

/** Whether a part is within its bound. A NaN is not. */
export function passes({ error, bound }: Part): boolean {
  return bound === undefined || error <= bound;
}

/** Largest difference; infinite where a value is not finite. Throws InputError where the lengths differ. */
export function largestDifference(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new InputError(name, `gives ${actual.length} values where the golden has ${expected.length}`);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    if (!(difference <= largest)) largest = Number.isFinite(difference) ? difference : Infinity;
  }
  return largest;
}

/** Compares values as they are. */
export function absolutePart(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>, bound?: number): Part {
  return { name, error: largestDifference(name, actual, expected), bound };
}

/** Compares relative to the golden's largest magnitude. */
export function relativePart(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>, bound?: number): Part {
  let magnitude = 0;
  for (let i = 0; i < expected.length; i++) magnitude = Math.max(magnitude, Math.abs(expected[i]));
  return { name, error: largestDifference(name, actual, expected) / (magnitude || 1), bound };
}

/** Counts the entries that differ. */
export function exactPart(name: string, actual: ArrayLike<unknown>, expected: ArrayLike<unknown>): Part {
  const length = Math.max(actual.length, expected.length);
  let error = 0;
  for (let i = 0; i < length; i++) error += Number(JSON.stringify(actual[i]) !== JSON.stringify(expected[i]));
  return { name, error, bound: 0 };
}

/** The share of entries that differ. */
export function sharePart(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number): Part {
  const { error } = exactPart(name, actual, expected);
  return { name, error: error / expected.length, bound };
}

/** 1 - Pearson's correlation. */
export function decorrelationPart(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number): Part {
  const mean = (values: ArrayLike<number>) => Array.prototype.reduce.call<ArrayLike<number>, [(a: number, b: number) => number, number], number>(values, (a, b) => a + b, 0) / values.length;
  const [a, b] = [mean(actual), mean(expected)];
  let [products, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    products += (actual[i] - a) * (expected[i] - b);
    squaresA += (actual[i] - a) ** 2;
    squaresB += (expected[i] - b) ** 2;
  }
  return { name, error: 1 - products / Math.sqrt(squaresA * squaresB), bound };
}

/** The part that is furthest towards or beyond its bound. */
export function worstPart(parts: readonly Part[]): Part | undefined {
  const judged = parts.filter(({ bound }) => bound !== undefined);
  const share = ({ error, bound }: Part) => (error === 0 ? 0 : error / (bound as number));
  return judged.reduce<Part | undefined>((worst, part) => (worst === undefined || !(share(part) <= share(worst)) ? part : worst), undefined);
}
