import type { AttentionCase } from "./attention_cases.ts";
import { type Visible, probabilities, weightedValues } from "./attention_reference.ts";
import type { Round } from "./harness.ts";

/** What an attention reads. */
export interface AttentionValues {
  q: ArrayLike<number>;
  k: ArrayLike<number>;
  v: ArrayLike<number>;
}

/**
 * Gradients of sum(dout * out) in plain loops: dP = dout v^T, D = rows' sums of dout * out, dS = P * (dP - D) where a key
 * is visible, dq = scale * dS k, dk = scale * dS^T q, dv = P^T dout, the last two summed over the items of each of the
 * `contexts`.
 */
export function attentionBackwardReference(
  size: AttentionCase,
  { q, k, v }: AttentionValues,
  dout: ArrayLike<number>,
  round: Round,
  contextOf: (item: number) => number,
  visible: Visible = () => true,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { batch, heads, queries, keys, headSize } = size;
  const p = probabilities(size, q, k, round, contextOf, visible);
  const out = weightedValues(size, p, v, round, contextOf);
  const scale = round(headSize ** -0.5);
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  const dp = new Float64Array(keys);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < queries; i++) {
        const pBase = ((b * heads + h) * queries + i) * keys;
        const qBase = ((b * queries + i) * heads + h) * headSize;
        const kBase = (j: number) => ((contextOf(b) * keys + j) * heads + h) * headSize;
        let mean = 0;
        for (let c = 0; c < headSize; c++) mean = round(mean + round(dout[qBase + c] * out[qBase + c]));
        for (let j = 0; j < keys; j++) {
          let dot = 0;
          for (let c = 0; c < headSize; c++) dot = round(dot + round(dout[qBase + c] * v[kBase(j) + c]));
          dp[j] = dot;
        }
        for (let j = 0; j < keys; j++) {
          const ds = visible(b, i, j) ? round(p[pBase + j] * round(dp[j] - mean)) : 0;
          for (let c = 0; c < headSize; c++) {
            dq[qBase + c] = round(dq[qBase + c] + round(ds * k[kBase(j) + c]));
            dk[kBase(j) + c] = round(dk[kBase(j) + c] + round(ds * q[qBase + c]));
            dv[kBase(j) + c] = round(dv[kBase(j) + c] + round(p[pBase + j] * dout[qBase + c]));
          }
        }
      }
    }
  }
  return { dq: dq.map((sum) => round(scale * sum)), dk: dk.map((sum) => round(scale * sum)), dv };
}
