import type { AttentionCase } from "./attention_cases.ts";
import type { Round } from "./harness.ts";

/** Lowest finite float32: what transformers adds to the scores of masked keys. */
const lowest = -3.4028234663852886e38;

/** Which keys a query may see, by item, query and key. */
export type Visible = (item: number, query: number, key: number) => boolean;

/**
 * P[b, h, i, j] = softmax_j(q . k / sqrt(d)) in plain loops. Scores of hidden keys become the lowest finite number, so a
 * row without a visible key is uniform. `contextOf(item)` names the row of k that an item uses.
 */
export function probabilities(
  { batch, heads, queries, keys, headSize }: AttentionCase,
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  round: Round,
  contextOf: (item: number) => number,
  visible: Visible = () => true,
): Float64Array {
  const p = new Float64Array(batch * heads * queries * keys);
  const scale = round(headSize ** -0.5);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < queries; i++) {
        const row = p.subarray(((b * heads + h) * queries + i) * keys).subarray(0, keys);
        for (let j = 0; j < keys; j++) {
          const qBase = ((b * queries + i) * heads + h) * headSize;
          const kBase = ((contextOf(b) * keys + j) * heads + h) * headSize;
          let dot = 0;
          for (let c = 0; c < headSize; c++) dot = round(dot + round(q[qBase + c] * k[kBase + c]));
          row[j] = visible(b, i, j) ? round(dot * scale) : lowest;
        }
        softmax(row, round);
      }
    }
  }
  return p;
}

/** Stand-in for the score of a hidden key in the kernels (kernels/lib/online_softmax.wgsl). */
const masked = Math.fround(-1e38);

/**
 * What the backward pass reads of the rows of scores, f32 [2, B, heads, Nq]: the largest, before the factor 1 / sqrt(d),
 * and 1 over the sum of exponentials beside it. The scores are rounded as a forward pass in f32 rounds them.
 */
export function rowStatistics(
  { batch, heads, queries, keys, headSize }: AttentionCase,
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  contextOf: (item: number) => number,
  visible: Visible = () => true,
): Float32Array {
  const rows = batch * heads * queries;
  const statistics = new Float32Array(2 * rows);
  for (let row = 0; row < rows; row++) {
    const [b, h, i] = [Math.floor(row / queries / heads), Math.floor(row / queries) % heads, row % queries];
    const scores = Array.from({ length: keys }, (_, j) => {
      const qBase = ((b * queries + i) * heads + h) * headSize;
      const kBase = ((contextOf(b) * keys + j) * heads + h) * headSize;
      let dot = 0;
      for (let c = 0; c < headSize; c++) dot = Math.fround(dot + Math.fround(q[qBase + c] * k[kBase + c]));
      return visible(b, i, j) ? dot : masked;
    });
    statistics[row] = Math.max(...scores);
    statistics[rows + row] = 1 / scores.reduce((sum, score) => sum + Math.exp((score - statistics[row]) * headSize ** -0.5), 0);
  }
  return statistics;
}

function softmax(row: Float64Array, round: Round): void {
  const largest = row.reduce((a, b) => Math.max(a, b));
  let total = 0;
  for (let j = 0; j < row.length; j++) {
    row[j] = round(Math.exp(round(row[j] - largest)));
    total = round(total + row[j]);
  }
  for (let j = 0; j < row.length; j++) row[j] = round(row[j] / total);
}

/** out[b, i, h] = sum_j P[b, h, i, j] v[context, j, h]. */
export function weightedValues(
  { batch, heads, queries, keys, headSize }: AttentionCase,
  p: Float64Array,
  v: ArrayLike<number>,
  round: Round,
  contextOf: (item: number) => number,
): Float64Array {
  const out = new Float64Array(batch * queries * heads * headSize);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queries; i++) {
      for (let h = 0; h < heads; h++) {
        const pBase = ((b * heads + h) * queries + i) * keys;
        for (let c = 0; c < headSize; c++) {
          let sum = 0;
          for (let j = 0; j < keys; j++) sum = round(sum + round(p[pBase + j] * v[((contextOf(b) * keys + j) * heads + h) * headSize + c]));
          out[((b * queries + i) * heads + h) * headSize + c] = sum;
        }
      }
    }
  }
  return out;
}

/** captured[b, s, i] = sum_h sum_j weights[context, s, j] P[b, h, i, j] / heads. */
export function capturedSums(
  { batch, heads, queries, keys }: AttentionCase,
  p: Float64Array,
  weights: Float32Array,
  sets: number,
  round: Round,
  contextOf: (item: number) => number,
): Float64Array {
  const captured = new Float64Array(batch * sets * queries);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queries; i++) {
      for (let s = 0; s < sets; s++) {
        let sum = 0;
        for (let j = 0; j < keys; j++) {
          let mean = 0;
          for (let h = 0; h < heads; h++) mean = round(mean + p[((b * heads + h) * queries + i) * keys + j]);
          sum = round(sum + round(weights[(contextOf(b) * sets + s) * keys + j] * round(mean / heads)));
        }
        captured[(b * sets + s) * queries + i] = sum;
      }
    }
  }
  return captured;
}
