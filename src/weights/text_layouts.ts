/**
 * Published layouts of text encoders, shown by the names of transformers' BertModel and CLIPTextModel (without
 * `text_model.`). What stands before a model's keys differs by who saved it: `bert.` and `roberta.` in files of
 * transformers' task models, `text_encoder.text_encoder.` in CXR-CLIP's, `gloria.text_encoder.model.` in GLoRIA's,
 * `cond_stage_model.transformer.text_model.` in Stable Diffusion's own, nothing in a bare encoder's. The models' other
 * parts, such as image towers and heads, are left out.
 */
import { WeightsError } from "../errors.ts";
import type { TensorSource } from "./checkpoint.ts";
import { nearestKey } from "./nearest_key.ts";
import { shown } from "./shown.ts";
import { type TensorView, viewTensors } from "./views.ts";

const bertEmbedding = "embeddings.word_embeddings.weight";
const clipEmbedding = "embeddings.token_embedding.weight";
const openClipEmbedding = "token_embedding.weight";

/** The BERT or RoBERTa in a checkpoint. Throws WeightsError where there is none, or several. */
export function bertTensors(source: TensorSource): TensorSource {
  const prefix = findPrefix(source, bertEmbedding);
  if (prefix === undefined) throw noEncoder(source, "BERT", bertEmbedding);
  return tensorsBelow(source, prefix);
}

/**
 * The CLIP text encoder in a checkpoint of transformers or open_clip.
 * Throws WeightsError where there is none, or several.
 */
export function clipTensors(source: TensorSource): TensorSource {
  const prefix = findPrefix(source, clipEmbedding);
  if (prefix !== undefined) return tensorsBelow(source, prefix);
  const openClipPrefix = findPrefix(source, openClipEmbedding);
  if (openClipPrefix === undefined) throw noEncoder(source, "CLIP text encoder", clipEmbedding);
  return viewTensors(source, openClipViews(source, openClipPrefix));
}

/** What stands before `key` in a checkpoint; undefined where it has no such key. A key at the root comes first. */
function findPrefix(source: TensorSource, key: string): string | undefined {
  const prefixes = [...source.tensors.keys()].filter((name) => name === key || name.endsWith(`.${key}`)).map((name) => name.slice(0, -key.length));
  if (prefixes.length < 2 || prefixes.includes("")) return prefixes.includes("") ? "" : prefixes[0];
  throw new WeightsError(source.name, `holds several text encoders, below ${shown(prefixes)}; strip the prefix of the one that is meant: attnscope weights convert --prefix-strip`);
}

function noEncoder(source: TensorSource, kind: string, key: string): WeightsError {
  const nearest = nearestKey(key, source.tensors.keys());
  const found = nearest === undefined ? "" : `; the nearest key is ${shown(nearest)}`;
  return new WeightsError(source.name, `holds no ${kind}: no key ends in ${key}${found}; check that weights and config.json belong together`);
}

function tensorsBelow(source: TensorSource, prefix: string): TensorSource {
  if (prefix === "") return source;
  const views = [...source.tensors].flatMap(([name, entry]) => (name.startsWith(prefix) ? { name: name.slice(prefix.length), entry } : []));
  return viewTensors(source, views);
}

/** What open_clip's CLIP holds besides its text tower, which lies at the same level. */
const openClipOthers = /^(visual\.|logit_scale$|logit_bias$|text_projection\b|attn_mask$)/;

/** Names of open_clip's text tower, and what transformers calls them. */
const openClipNames: readonly (readonly [RegExp, string])[] = [
  [/^token_embedding\.weight$/, clipEmbedding],
  [/^positional_embedding$/, "embeddings.position_embedding.weight"],
  [/^ln_final\./, "final_layer_norm."],
  [/^transformer\.resblocks\.(\d+)\.ln_([12])\./, "encoder.layers.$1.layer_norm$2."],
  [/^transformer\.resblocks\.(\d+)\.attn\.out_proj\./, "encoder.layers.$1.self_attn.out_proj."],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_fc\./, "encoder.layers.$1.mlp.fc1."],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_proj\./, "encoder.layers.$1.mlp.fc2."],
];
/** Queries, keys and values of torch.nn.MultiheadAttention, one above the other. */
const fusedProjection = /^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/;

function openClipViews(source: TensorSource, prefix: string): TensorView[] {
  return [...source.tensors].flatMap(([key, entry]): TensorView[] => {
    if (!key.startsWith(prefix)) return [];
    const name = key.slice(prefix.length);
    if (openClipOthers.test(name)) return [];
    const fused = fusedProjection.exec(name);
    if (fused) return ["q", "k", "v"].map((part, index) => ({ name: `encoder.layers.${fused[1]}.self_attn.${part}_proj.${fused[2]}`, entry, part: { index, of: 3 } }));
    const rename = openClipNames.find(([pattern]) => pattern.test(name));
    return [{ name: rename ? name.replace(...rename) : name, entry }];
  });
}
