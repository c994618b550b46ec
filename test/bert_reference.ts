import { erf } from "../shaders-test/product_reference.ts";
import type { BertConfig } from "../src/models/bert.ts";
import type { FileTensors } from "./published_encoders.ts";

type Rows = Float64Array[];

/**
 * The last hidden state [N][width] of a BERT or RoBERTa, in f64 and plain loops, from its tensors by transformers' keys.
 * @param positions row of the position table of every token
 * @param mask which tokens are attended to
 */
export function bertReference(tensors: FileTensors, config: Pick<BertConfig, "layers" | "heads" | "eps">, ids: ArrayLike<number>, positions: readonly number[], mask: ArrayLike<number>): Rows {
  const values = (key: string) => tensors.get(key)?.values as Float32Array;
  const width = values("embeddings.LayerNorm.weight").length;
  const row = (key: string, index: number) => values(key).subarray(index * width, (index + 1) * width);
  const linear = (x: Rows, key: string) => {
    const [weight, bias] = [values(`${key}.weight`), values(`${key}.bias`)];
    return x.map((input) => Float64Array.from(bias, (b, o) => input.reduce((sum, value, i) => sum + value * weight[o * input.length + i], b)));
  };
  const norm = (x: Rows, key: string) => x.map((input) => {
    const mean = input.reduce((sum, value) => sum + value, 0) / width;
    const deviation = Math.sqrt(input.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width + config.eps);
    return input.map((value, c) => ((value - mean) / deviation) * values(`${key}.weight`)[c] + values(`${key}.bias`)[c]);
  });
  const add = (a: Rows, b: Rows) => a.map((input, n) => input.map((value, c) => value + b[n][c]));
  const embedded = Array.from(ids, (id, n) => Float64Array.from({ length: width }, (_, c) =>
    row("embeddings.word_embeddings.weight", id)[c] + row("embeddings.position_embeddings.weight", positions[n])[c] + row("embeddings.token_type_embeddings.weight", 0)[c]));
  let x = norm(embedded, "embeddings.LayerNorm");
  for (let layer = 0; layer < config.layers; layer++) {
    const at = (name: string) => `encoder.layer.${layer}.${name}`;
    const [q, k, v] = ["query", "key", "value"].map((name) => linear(x, at(`attention.self.${name}`)));
    const attended = linear(attend(q, k, v, config.heads, mask), at("attention.output.dense"));
    const h = norm(add(attended, x), at("attention.output.LayerNorm"));
    const inner = linear(h, at("intermediate.dense")).map((input) => input.map((value) => 0.5 * value * (1 + erf(value / Math.SQRT2))));
    x = norm(add(linear(inner, at("output.dense")), h), at("output.LayerNorm"));
  }
  return x;
}

function attend(q: Rows, k: Rows, v: Rows, heads: number, mask: ArrayLike<number>): Rows {
  const width = q[0].length;
  const size = width / heads;
  return q.map((query) => {
    const out = new Float64Array(width);
    for (let head = 0; head < heads; head++) {
      const channels = Array.from({ length: size }, (_, c) => head * size + c);
      const weights = k.map((key, m) => (mask[m] ? Math.exp(channels.reduce((sum, c) => sum + query[c] * key[c], 0) / Math.sqrt(size)) : 0));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (const c of channels) out[c] = weights.reduce((sum, weight, m) => sum + (weight / total) * v[m][c], 0);
    }
    return out;
  });
}
