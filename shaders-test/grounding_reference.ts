import type { Round } from "./harness.ts";

type Values = ArrayLike<number>;

/** Matrix product of two r x r maps. */
export function productReference(a: Values, b: Values, r: number, round: Round): Float64Array {
  return Float64Array.from({ length: r * r }, (_, index) => {
    let sum = 0;
    for (let k = 0; k < r; k++) sum = round(sum + round(a[Math.floor(index / r) * r + k] * b[k * r + (index % r)]));
    return sum;
  });
}

/** Nearest repetition of an r x r map to side x side. */
export function repeatReference(map: Values, r: number, side: number): Float64Array {
  const f = side / r;
  return Float64Array.from({ length: side * side }, (_, i) => map[Math.floor(Math.floor(i / side) / f) * r + Math.floor((i % side) / f)]);
}

/** Mean of full-size maps with weights. */
export function meanReference(maps: readonly Values[], weights: readonly number[], round: Round): Float64Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Float64Array.from({ length: maps[0].length }, (_, i) => {
    const sum = maps.reduce((so, map, m) => round(so + round(weights[m] * map[i])), 0);
    return round(sum / total);
  });
}

/** scikit-image's structural_similarity of 8-bit maps, from its definition. */
export function ssimReference(a: Values, b: Values, side: number): number {
  const windows = side - 6;
  let total = 0;
  for (let top = 0; top < windows; top++) {
    for (let left = 0; left < windows; left++) {
      const pixels = Array.from({ length: 49 }, (_, i) => (top + Math.floor(i / 7)) * side + left + (i % 7));
      const mean = (map: Values) => pixels.reduce((sum, at) => sum + map[at], 0) / 49;
      const [ma, mb] = [mean(a), mean(b)];
      const covariance = (x: Values, mx: number, y: Values, my: number) => pixels.reduce((sum, at) => sum + (x[at] - mx) * (y[at] - my), 0) / 48;
      const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
      const numerator = (2 * ma * mb + c1) * (2 * covariance(a, ma, b, mb) + c2);
      total += numerator / ((ma ** 2 + mb ** 2 + c1) * (covariance(a, ma, a, ma) + covariance(b, mb, b, mb) + c2));
    }
  }
  return total / windows ** 2;
}

/** (x - min) / (max - min), every result rounded. */
export function normaliseReference(x: Values, round: Round): Float64Array {
  const rounded = Float64Array.from(x, round);
  const low = Math.min(...rounded);
  const range = round(Math.max(...rounded) - low);
  return rounded.map((value) => (range === 0 ? 0 : round(round(value - low) / range)));
}

/** Equations 2, 3 and 4 of the paper, every result of an elementwise operation rounded. */
export function mergeReference(kind: "mixture" | "linear" | "quadratic", a: number, m: number, s: number, round: Round): number {
  if (kind === "linear") return round(round(s * m) + round((1 - s) * a));
  const hadamard = round(m * a);
  const control = kind === "quadratic" ? hadamard : round(round(round(m + a) + hadamard) / 2);
  return round(round(round(2 * (1 - s) * s * control) + round((1 - s) ** 2 * a)) + round(s ** 2 * m));
}
