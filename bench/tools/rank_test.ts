/**
 * Two-sided p of the rank-sum test (Mann and Whitney 1947): how probable it is that two samples of one distribution differ
 * as much in rank as these. Exact for samples without ties; of equal values, half count as larger.
 */
export function rankTest(a: readonly number[], b: readonly number[]): number {
  const larger = a.reduce((sum, x) => sum + b.reduce((count, y) => count + (x > y ? 1 : x === y ? 0.5 : 0), 0), 0);
  const extreme = Math.floor(Math.min(larger, a.length * b.length - larger));
  const ways = orderings(a.length, b.length);
  const total = ways.reduce((sum, count) => sum + count, 0);
  const tail = ways.slice(0, extreme + 1).reduce((sum, count) => sum + count, 0);
  return Math.min(1, (2 * tail) / total);
}

/** Orderings of n and m different values in which u pairs have the larger one in the first sample, by u. */
function orderings(n: number, m: number): number[] {
  let counts = Array.from({ length: m + 1 }, () => [1]);
  for (let i = 1; i <= n; i++) {
    // The largest value is one of the second sample, or one of the first and larger than all of the second.
    const next = [[1]];
    for (let j = 1; j <= m; j++) next.push(added(next[j - 1], counts[j], j));
    counts = next;
  }
  return counts[m];
}

/** The counts of `a`, and those of `b` moved up by `by`. */
function added(a: readonly number[], b: readonly number[], by: number): number[] {
  return Array.from({ length: Math.max(a.length, b.length + by) }, (_, u) => (a[u] ?? 0) + (b[u - by] ?? 0));
}

/** The least p that the rank test can give for samples of these sizes, however different: the first all above or all below the second. */
export function leastP(n: number, m: number): number {
  let ways = 1;
  for (let i = 1; i <= n; i++) ways = (ways * (m + i)) / i;
  return Math.min(1, 2 / ways);
}

/** The p values with Holm's correction (1979): what is found in many tests at once is found by chance with at most that probability. */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((i, j) => p[i] - p[j]);
  const corrected = Array<number>(p.length);
  let least = 0;
  order.forEach((i, rank) => {
    least = Math.max(least, Math.min(1, (p.length - rank) * p[i]));
    corrected[i] = least;
  });
  return corrected;
}
