const oldAttentionNames: Readonly<Record<string, string>> = { query: "to_q", key: "to_k", value: "to_v", proj_attn: "to_out.0" };

/**
 * Name that diffusers now gives to an attention weight of an old VAE: `…attentions.0.query.weight` is `…attentions.0.to_q.weight`,
 * and so on for key, value and proj_attn. Other names come back as they are.
 */
export function currentAttentionName(name: string): string {
  return name.replace(/(^|\.)(attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)$/,
    (_, before: string, block: string, old: string, rest: string) => `${before}${block}.${oldAttentionNames[old]}.${rest}`);
}

/** Name of a layer norm's weight or bias in a BERT, which checkpoints converted from TensorFlow call gamma and beta. */
export function currentLayerNormName(name: string): string {
  return name.replace(/(LayerNorm)\.gamma$/, "$1.weight").replace(/(LayerNorm)\.beta$/, "$1.bias");
}

/** A name without `prefix`, where it begins with it. */
export function stripPrefix(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
