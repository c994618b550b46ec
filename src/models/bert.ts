import { attention } from "../ops/attention.ts";
import type { Float } from "../ops/check.ts";
import { paddedPositions } from "../ops/embed.ts";
import { add } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { currentLayerNormName } from "../weights/rename.ts";
import { type Config, ConfigReader } from "../config.ts";
import { Embedding, LayerNorm, Linear, positionIds } from "./layers.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";

/** What a BERT's or RoBERTa's config.json says. */
export interface BertConfig {
  /** `vocab_size`: rows of the word table. */
  vocabSize: number;
  /** `hidden_size`: channels of the hidden state, a multiple of `heads`. */
  width: number;
  /** `num_hidden_layers` */
  layers: number;
  /** `num_attention_heads` */
  heads: number;
  /** `intermediate_size`: channels in the middle of each layer's feed-forward. */
  intermediate: number;
  /** The longest sequence it takes. */
  positions: number;
  /** RoBERTa's id of padding, from which its positions count; absent in BERT, which counts them from 0. */
  padding: number | undefined;
  /** `type_vocab_size`, default 2: rows of the type table, of which the first is used. */
  tokenTypes: number;
  /** `layer_norm_eps`, default 1e-12. */
  eps: number;
  /** `hidden_act` of the feed-forward, default "gelu" (exact); "gelu_tanh" is transformers' gelu_new. */
  activation: "gelu" | "gelu_tanh";
  /** Width of CXR-BERT's projection of [CLS]; absent in other BERTs. */
  projection: number | undefined;
}

const activations = { gelu: "gelu", gelu_new: "gelu_tanh", gelu_pytorch_tanh: "gelu_tanh" } as const;

/** Reads a BERT's or RoBERTa's config.json. Throws InputError for settings that are not implemented. */
export function readBertConfig(file: string, config: Config): BertConfig {
  const read = new ConfigReader(file, config);
  read.only({ hidden_act: Object.keys(activations), position_embedding_type: ["absolute"], is_decoder: [false] });
  const width = read.number("hidden_size");
  const heads = read.number("num_attention_heads");
  if (width % heads !== 0) read.fail("num_attention_heads", `${heads} does not divide hidden_size ${width}`);
  const padding = config.model_type === "roberta" ? read.number("pad_token_id", 1) : undefined;
  return {
    vocabSize: read.number("vocab_size"),
    width,
    layers: read.number("num_hidden_layers"),
    heads,
    intermediate: read.number("intermediate_size"),
    positions: read.number("max_position_embeddings", 512) - firstPosition(padding),
    padding,
    tokenTypes: read.number("type_vocab_size", 2),
    eps: read.number("layer_norm_eps", 1e-12),
    activation: activations[read.string("hidden_act", "gelu") as keyof typeof activations],
    projection: config.projection_size === undefined ? undefined : read.number("projection_size"),
  };
}

/** Row of the position table that belongs to the first token. */
function firstPosition(padding: number | undefined): number {
  return padding === undefined ? 0 : padding + 1;
}

class BertLayer {
  readonly #query: Linear;
  readonly #key: Linear;
  readonly #value: Linear;
  readonly #attentionOut: Linear;
  readonly #attentionNorm: LayerNorm;
  readonly #intermediate: Linear;
  readonly #output: Linear;
  readonly #outputNorm: LayerNorm;
  readonly #config: BertConfig;

  constructor(p: ParameterScope, config: BertConfig) {
    const { width, intermediate, eps } = config;
    this.#query = new Linear(p.at("attention.self.query"), width, width);
    this.#key = new Linear(p.at("attention.self.key"), width, width);
    this.#value = new Linear(p.at("attention.self.value"), width, width);
    this.#attentionOut = new Linear(p.at("attention.output.dense"), width, width);
    this.#attentionNorm = new LayerNorm(p.at("attention.output.LayerNorm"), width, eps);
    this.#intermediate = new Linear(p.at("intermediate.dense"), width, intermediate);
    this.#output = new Linear(p.at("output.dense"), intermediate, width);
    this.#outputNorm = new LayerNorm(p.at("output.LayerNorm"), width, eps);
    this.#config = config;
  }

  /** x [B, N, width] to the same shape. */
  forward(x: Tensor, keyMask: Tensor | undefined): Tensor {
    const { heads, activation } = this.#config;
    const attended = attention(this.#query.forward(x), this.#key.forward(x), this.#value.forward(x), { heads, keyMask });
    const h = this.#attentionNorm.forward(this.#attentionOut.forward(attended, { residual: x }));
    return this.#outputNorm.forward(this.#output.forward(this.#intermediate.forward(h, { activation }), { residual: h }));
  }
}

/** CXR-BERT's projection of [CLS] into the joint space with images: dense, GELU, layer norm, dense. */
class ProjectionHead {
  readonly #dense1: Linear;
  readonly #norm: LayerNorm;
  readonly #dense2: Linear;

  constructor(p: ParameterScope, width: number, projection: number) {
    this.#dense1 = new Linear(p.at("dense_to_hidden"), width, projection);
    this.#norm = new LayerNorm(p.at("LayerNorm"), projection, 1e-12);
    this.#dense2 = new Linear(p.at("dense_to_output"), projection, projection);
  }

  forward(x: Tensor): Tensor {
    return this.#dense2.forward(this.#norm.forward(this.#dense1.forward(x, { activation: "gelu" })));
  }
}

/**
 * transformers' BertModel (modeling_bert.py), with CXR-BERT's projection head where the config has one, or its
 * RobertaModel, which differs in its positions alone.
 */
export class BertModel implements Model {
  /** What it was built from. */
  readonly config: BertConfig;
  /** By key without `bert.` or `roberta.`. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** The masked-language head, the pooler and counters: published beside the encoder, not used by it. */
  readonly ignoredKeys = /^(cls\.|pooler\.|embeddings\.(position|token_type)_ids$|cls_projection_head\.)/;
  /** Layer norms' `gamma` and `beta` of checkpoints from TensorFlow are `weight` and `bias`. */
  readonly renameKey = currentLayerNormName;
  readonly #words: Embedding;
  readonly #positions: Embedding;
  readonly #tokenTypes: Embedding;
  readonly #norm: LayerNorm;
  readonly #layers: BertLayer[];
  readonly #projectionHead: ProjectionHead | undefined;

  /** `withProjection`: also load CXR-BERT's projection head. */
  constructor(config: BertConfig, options: { withProjection?: boolean } = {}) {
    this.config = config;
    const p = new ParameterScope();
    this.parameters = p.all;
    const embeddings = p.at("embeddings");
    this.#words = new Embedding(embeddings.at("word_embeddings"), config.vocabSize, config.width);
    this.#positions = new Embedding(embeddings.at("position_embeddings"), config.positions + firstPosition(config.padding), config.width);
    this.#tokenTypes = new Embedding(embeddings.at("token_type_embeddings"), config.tokenTypes, config.width);
    this.#norm = new LayerNorm(embeddings.at("LayerNorm"), config.width, config.eps);
    this.#layers = Array.from({ length: config.layers }, (_, i) => new BertLayer(p.at("encoder.layer").at(i), config));
    if (options.withProjection && config.projection !== undefined) {
      this.#projectionHead = new ProjectionHead(p.at("cls_projection_head"), config.width, config.projection);
    }
  }

  /**
   * Token ids u32 [B, N], and which of them are attended to (u32 [B, N], 1 or 0; absent: all), to the last hidden
   * state [B, N, width].
   */
  forward(ids: Tensor, options: { mask?: Tensor; dtype: Float }): Tensor {
    const { gpu } = ids;
    const [batch, length] = ids.shape;
    return gpu.scope("bert", () => {
      // 1. Embeddings
      const positions = this.config.padding === undefined ? positionIds(gpu, batch, length) : paddedPositions(ids, this.config.padding);
      const types = gpu.constant(`token types ${batch} ${length}`, [batch, length], () => new Uint32Array(batch * length));
      const words = this.#words.forward(ids, options.dtype);
      const x0 = this.#norm.forward(add(add(words, this.#tokenTypes.forward(types, options.dtype)), this.#positions.forward(positions, options.dtype)));
      // 2. Encoder
      return this.#layers.reduce((x, layer, i) => gpu.scope(`layer.${i}`, () => layer.forward(x, options.mask)), x0);
    });
  }

  /** Projects the hidden state of [CLS], [B, width], into the space shared with images: [B, projection], not normalised. */
  projectCls(cls: Tensor): Tensor {
    if (!this.#projectionHead) throw new TypeError("this BERT was built without its projection head");
    return this.#projectionHead.forward(cls);
  }
}
