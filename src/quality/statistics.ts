import { Matrix } from "ml-matrix";

/** A Gaussian fitted to vectors. */
export interface Gaussian {
  /** Vectors that it was fitted to. */
  readonly count: number;
  /** [D] */
  readonly mean: Float64Array;
  /** [D, D], unbiased: divided by count - 1. */
  readonly covariance: Matrix;
}

/**
 * Mean and covariance of a stream of vectors, in double: neither the vectors nor sums of squares that would cancel are
 * kept (Chan, Golub and LeVeque 1983, equations 1.5).
 */
export class RunningGaussian {
  /** D: length of each vector. */
  readonly dimensions: number;
  #count = 0;
  readonly #mean: Float64Array;
  /** Sums of products of deviations from the mean: the lower triangle, row after row. */
  readonly #products: Float64Array;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
    this.#mean = new Float64Array(dimensions);
    this.#products = new Float64Array((dimensions * (dimensions + 1)) / 2);
  }

  /** Vectors so far. */
  get count(): number {
    return this.#count;
  }

  /** Adds vectors, [N, D] row after row: a few dozen at a time go fastest. */
  add(rows: Float32Array): void {
    const D = this.dimensions;
    const n = rows.length / D;
    if (!Number.isInteger(n)) throw new RangeError(`${rows.length} values are no rows of ${D}`);
    if (n === 0) return;
    const mean = new Float64Array(D);
    for (let i = 0; i < rows.length; i++) mean[i % D] += rows[i] / n;
    // Column after column, so that the products of two columns run over neighbours.
    const deviations = new Float64Array(rows.length);
    for (let d = 0; d < D; d++) {
      for (let row = 0; row < n; row++) deviations[d * n + row] = rows[row * D + d] - mean[d];
    }
    const total = this.#count + n;
    const weight = (this.#count * n) / total;
    const shift = mean.map((value, d) => value - this.#mean[d]);
    for (let d = 0, at = 0; d < D; d++) {
      for (let e = 0; e <= d; e++, at++) {
        let sum = weight * shift[d] * shift[e];
        for (let row = 0; row < n; row++) sum += deviations[d * n + row] * deviations[e * n + row];
        this.#products[at] += sum;
      }
    }
    for (let d = 0; d < D; d++) this.#mean[d] += (shift[d] * n) / total;
    this.#count = total;
  }

  /** The Gaussian of the vectors so far: two or more. */
  fit(): Gaussian {
    if (this.#count < 2) throw new RangeError(`${this.#count} vectors have no covariance`);
    const covariance = new Matrix(this.dimensions, this.dimensions);
    for (let d = 0, at = 0; d < this.dimensions; d++) {
      for (let e = 0; e <= d; e++, at++) {
        const value = this.#products[at] / (this.#count - 1);
        covariance.set(d, e, value);
        covariance.set(e, d, value);
      }
    }
    return { count: this.#count, mean: this.#mean.slice(), covariance };
  }
}
