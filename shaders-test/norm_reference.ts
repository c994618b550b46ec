import type { Round } from "./harness.ts";
import type { GroupNormCase } from "./norm_cases.ts";

/** Gradients of a norm's input and parameters. */
export interface NormGradients {
  dx: Float64Array;
  dweight: Float64Array;
  dbias: Float64Array;
}

/** Mean and 1 / sqrt(var + eps) of the values at `members`. */
function statisticsOf(x: ArrayLike<number>, members: readonly number[], eps: number, round: Round): { mean: number; scale: number } {
  let sum = 0;
  for (const i of members) sum = round(sum + x[i]);
  const mean = round(sum / members.length);
  let squares = 0;
  for (const i of members) squares = round(squares + round(round(x[i] - mean) ** 2));
  return { mean, scale: round(1 / Math.sqrt(round(round(squares / members.length) + eps))) };
}

/** The indices that are normalised together, one list a row or group. */
function* layerNormMembers(size: number, channels: number): Generator<number[]> {
  for (let base = 0; base < size; base += channels) yield Array.from({ length: channels }, (_, c) => base + c);
}

function* groupNormMembers({ batches, positions, groups }: GroupNormCase, channels: number): Generator<number[]> {
  const width = channels / groups;
  for (let b = 0; b < batches; b++) {
    for (let g = 0; g < groups; g++) {
      const members: number[] = [];
      for (let s = 0; s < positions; s++) for (let k = 0; k < width; k++) members.push((b * positions + s) * channels + g * width + k);
      yield members;
    }
  }
}

function normReference(x: ArrayLike<number>, weight: ArrayLike<number>, bias: ArrayLike<number>, sets: Iterable<number[]>, eps: number, silu: boolean, round: Round): Float64Array {
  const y = new Float64Array(x.length);
  for (const members of sets) {
    const { mean, scale } = statisticsOf(x, members, eps, round);
    for (const i of members) {
      const c = i % weight.length;
      const value = round(round(round(round(x[i] - mean) * scale) * weight[c]) + bias[c]);
      y[i] = silu ? round(value / round(1 + round(Math.exp(-value)))) : value;
    }
  }
  return y;
}

function normBackwardReference(x: ArrayLike<number>, dy: ArrayLike<number>, weight: ArrayLike<number>, bias: ArrayLike<number>, sets: Iterable<number[]>, eps: number, silu: boolean, round: Round): NormGradients {
  const channels = weight.length;
  const result = { dx: new Float64Array(x.length), dweight: new Float64Array(channels), dbias: new Float64Array(channels) };
  for (const members of sets) {
    const { mean, scale } = statisticsOf(x, members, eps, round);
    const h = members.map((i) => round(round(x[i] - mean) * scale));
    const dvalue = members.map((i, k) => {
      if (!silu) return dy[i];
      const value = round(round(h[k] * weight[i % channels]) + bias[i % channels]);
      const s = round(1 / round(1 + round(Math.exp(-value))));
      return round(dy[i] * round(s * round(1 + round(value * round(1 - s)))));
    });
    let sum = 0;
    let product = 0;
    for (const [k, i] of members.entries()) {
      const c = i % channels;
      result.dbias[c] = round(result.dbias[c] + dvalue[k]);
      result.dweight[c] = round(result.dweight[c] + round(dvalue[k] * h[k]));
      const g = round(dvalue[k] * weight[c]);
      sum = round(sum + g);
      product = round(product + round(g * h[k]));
    }
    const means = [round(sum / members.length), round(product / members.length)];
    for (const [k, i] of members.entries()) {
      const g = round(dvalue[k] * weight[i % channels]);
      result.dx[i] = round(scale * round(round(g - means[0]) - round(h[k] * means[1])));
    }
  }
  return result;
}

/** torch.nn.LayerNorm over the last dimension, in plain loops. */
export function layerNormReference(x: ArrayLike<number>, weight: ArrayLike<number>, bias: ArrayLike<number>, eps: number, round: Round): Float64Array {
  return normReference(x, weight, bias, layerNormMembers(x.length, weight.length), eps, false, round);
}

/** Its gradients, where that of the result is dy. */
export function layerNormBackwardReference(x: ArrayLike<number>, dy: ArrayLike<number>, weight: ArrayLike<number>, eps: number, round: Round): NormGradients {
  return normBackwardReference(x, dy, weight, [], layerNormMembers(x.length, weight.length), eps, false, round);
}

/** torch.nn.GroupNorm over [B, S, C], then SiLU where `silu`, in plain loops. */
export function groupNormReference(x: ArrayLike<number>, weight: ArrayLike<number>, bias: ArrayLike<number>, shape: GroupNormCase, eps: number, silu: boolean, round: Round): Float64Array {
  return normReference(x, weight, bias, groupNormMembers(shape, weight.length), eps, silu, round);
}

/** Its gradients, where that of the result is dy. */
export function groupNormBackwardReference(
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  shape: GroupNormCase,
  eps: number,
  silu: boolean,
  round: Round,
): NormGradients {
  return normBackwardReference(x, dy, weight, bias, groupNormMembers(shape, weight.length), eps, silu, round);
}
