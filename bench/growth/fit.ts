import { Matrix, solve } from "ml-matrix";
import { formatMs } from "../../src/profile/units.ts";

/** How well a law describes times. */
interface Goodness {
  /** Share of the variance that the law explains; of a power, of the logarithms' variance. */
  r2: number;
  /** How far the law is from a time at most, relative to the time. */
  farthest: number;
}

/** ms = intercept + slope * x. */
export interface Line extends Goodness {
  law: "line";
  intercept: number;
  slope: number;
}

/** ms = factor * x^exponent. */
export interface Power extends Goodness {
  law: "power";
  factor: number;
  exponent: number;
}

export type Fit = Line | Power;

/** The line of least squares through two points or more. */
export function fitLine(x: readonly number[], ms: readonly number[]): Line {
  const { intercept, slope, r2 } = leastSquares(x, ms);
  return { law: "line", intercept, slope, r2, farthest: farthest(ms, x.map((at) => intercept + slope * at)) };
}

/** The power of least squares in logarithms through two points or more, all above 0. */
export function fitPower(x: readonly number[], ms: readonly number[]): Power {
  const { intercept, slope: exponent, r2 } = leastSquares(x.map(Math.log), ms.map(Math.log));
  const factor = Math.exp(intercept);
  return { law: "power", factor, exponent, r2, farthest: farthest(ms, x.map((at) => factor * at ** exponent)) };
}

/** Milliseconds that a law gives at x. */
export function predict(fit: Fit, x: number): number {
  return fit.law === "line" ? fit.intercept + fit.slope * x : fit.factor * x ** fit.exponent;
}

/** A law in words; `unit` names one of what x counts. */
export function describeFit(fit: Fit, unit: string): string {
  const goodness = `R² ${fit.r2.toFixed(4)}, at most ${(100 * fit.farthest).toFixed(1)} % off`;
  if (fit.law === "power") return `${unit}^${fit.exponent.toFixed(2)} (${goodness})`;
  return `${signedMs(fit.slope)} per ${unit} ${fit.intercept < 0 ? "−" : "+"} ${formatMs(Math.abs(fit.intercept))} ms (${goodness})`;
}

const signedMs = (ms: number) => `${ms < 0 ? "−" : ""}${formatMs(Math.abs(ms))} ms`;

function leastSquares(x: readonly number[], y: readonly number[]): { intercept: number; slope: number; r2: number } {
  const [[intercept], [slope]] = solve(new Matrix(x.map((value) => [1, value])), Matrix.columnVector([...y])).to2DArray();
  const mean = y.reduce((sum, value) => sum + value, 0) / y.length;
  const squares = (of: (i: number) => number) => y.reduce((sum, value, i) => sum + (value - of(i)) ** 2, 0);
  const variance = squares(() => mean);
  return { intercept, slope, r2: variance === 0 ? 1 : 1 - squares((i) => intercept + slope * x[i]) / variance };
}

const farthest = (ms: readonly number[], law: readonly number[]) => Math.max(...ms.map((value, i) => Math.abs(law[i] / value - 1)));
