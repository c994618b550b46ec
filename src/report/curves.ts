/** Values over steps, few enough to be drawn: of each stretch of steps the mean, the least and the greatest. */
export interface Curve {
  readonly x: number[];
  readonly y: number[];
  readonly low: number[];
  readonly high: number[];
}

/** Most points of a curve: about the pixels of a chart. */
const MOST = 500;

/** Joins neighbours so that at most `most` points are left; values that are missing or not finite do not count. */
export function curve(x: readonly number[], y: readonly (number | undefined)[], most = MOST): Curve {
  const stretch = Math.ceil(x.length / most) || 1;
  const joined: Curve = { x: [], y: [], low: [], high: [] };
  for (let start = 0; start < x.length; start += stretch) {
    const values = y.slice(start, start + stretch).filter((value): value is number => Number.isFinite(value));
    if (values.length === 0) continue;
    joined.x.push(x[Math.min(start + stretch, x.length) - 1]);
    joined.y.push(values.reduce((sum, value) => sum + value, 0) / values.length);
    joined.low.push(Math.min(...values));
    joined.high.push(Math.max(...values));
  }
  return joined;
}

/** At most `most` members of a list, spread evenly, the first and the last among them. */
export function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]);
}
