import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import type { Gaussian } from "./statistics.ts";

/**
 * Fréchet distance of two Gaussians, |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): FID where they were fitted to features
 * of InceptionV3. With C1 = A A^T, the eigenvalues of C1 C2 are those of the symmetric A^T C2 A: no root of a matrix
 * that is not symmetric is taken, and covariances without full rank (fewer images than features) need no correction.
 */
export function frechetDistance(a: Gaussian, b: Gaussian): number {
  if (a.mean.length !== b.mean.length) throw new RangeError(`${a.mean.length} and ${b.mean.length} features cannot be compared`);
  // The one of lower rank is taken apart: the rest gets smaller.
  const [first, second] = a.count <= b.count ? [a.covariance, b.covariance] : [b.covariance, a.covariance];
  const shift = a.mean.reduce((sum, value, d) => sum + (value - b.mean[d]) ** 2, 0);
  return shift + first.trace() + second.trace() - 2 * traceOfRoot(first, second);
}

/** tr((C1 C2)^(1/2)) of covariances. */
function traceOfRoot(first: Matrix, second: Matrix): number {
  const factor = squareFactor(first);
  if (factor.isEmpty()) return 0;
  const product = factor.transpose().mmul(second.mmul(factor));
  const { realEigenvalues } = new EigenvalueDecomposition(product, { assumeSymmetric: true });
  // Rounding leaves some zeros a little below.
  return realEigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}

/**
 * A matrix A [D, rank] with C = A A^T, of a covariance C [D, D]: Cholesky's factor, the greatest variance that is left
 * taken first (Higham 1990). It ends where rounding begins, so that A has no more columns than C has rank: with fewer
 * images than features the eigenvalues of a small matrix are left to find.
 */
function squareFactor(covariance: Matrix): Matrix {
  const D = covariance.rows;
  const left = Float64Array.from(covariance.diagonal());
  const least = Number.EPSILON * D * left.reduce((a, b) => Math.max(a, b));
  const columns: Float64Array[] = [];
  for (;;) {
    const pivot = left.reduce((best, value, d) => (value > left[best] ? d : best), 0);
    if (!(left[pivot] > least)) return new Matrix(columns).transpose();
    const column = Float64Array.from(covariance.getRow(pivot));
    for (const earlier of columns) {
      const factor = earlier[pivot];
      for (let d = 0; d < D; d++) column[d] -= factor * earlier[d];
    }
    const root = Math.sqrt(left[pivot]);
    for (let d = 0; d < D; d++) {
      column[d] /= root;
      left[d] -= column[d] ** 2;
    }
    columns.push(column);
  }
}
