/** A quantile of sorted values, between the neighbours where it falls between two; 0 of none. */
export function quantile(sorted: ArrayLike<number>, at: number): number {
  if (sorted.length === 0) return 0;
  const place = at * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** The median of values in any order; 0 of none. */
export function median(values: readonly number[]): number {
  return quantile([...values].sort((a, b) => a - b), 0.5);
}
