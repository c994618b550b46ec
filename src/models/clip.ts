import { attention } from "../ops/attention.ts";
import type { Float } from "../ops/check.ts";
import { add } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { type Config, ConfigReader } from "../config.ts";
import { Embedding, LayerNorm, Linear, positionIds } from "./layers.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";

/** What a CLIP text encoder's configuration says. */
export interface ClipTextConfig {
  /** `vocab_size`, default 49408: rows of the token table. */
  vocabSize: number;
  /** `hidden_size` (OpenCLIP: `width`), default 512: channels, a multiple of `heads`. */
  width: number;
  /** Of the checkpoint, default 12: with `penultimate` one less is run. */
  layers: number;
  /** Of each layer's attention, default 8. */
  heads: number;
  /** Channels in the middle of each layer's feed-forward, default 2048 (OpenCLIP: 4 times the width). */
  intermediate: number;
  /** The longest sequence it takes, default 77. */
  positions: number;
  /** Of the layer norms, default 1e-5; OpenCLIP's have no other. */
  eps: number;
  /** Of the feed-forward. Default: "quick_gelu" in transformers' configs, "gelu" in OpenCLIP's. */
  activation: "quick_gelu" | "gelu";
  /** The last layer is not run: its input goes through the final norm. */
  penultimate: boolean;
}

/**
 * Reads transformers' config.json of a CLIP text encoder, or the text encoder's part of a whole CLIP's. All its layers
 * run: Stable Diffusion 2's encoder, read at its penultimate layer, has one layer less in its config.
 * Throws InputError for settings that are not implemented.
 */
export function readClipTextConfig(file: string, config: Config): ClipTextConfig {
  const read = new ConfigReader(file, (config.text_config as Config | undefined) ?? config);
  read.only({ hidden_act: ["quick_gelu", "gelu"] });
  const width = read.number("hidden_size", 512);
  const heads = read.number("num_attention_heads", 8);
  if (width % heads !== 0) read.fail("num_attention_heads", `${heads} does not divide hidden_size ${width}`);
  return {
    vocabSize: read.number("vocab_size", 49408),
    width,
    layers: read.number("num_hidden_layers", 12),
    heads,
    intermediate: read.number("intermediate_size", 2048),
    positions: read.number("max_position_embeddings", 77),
    eps: read.number("layer_norm_eps", 1e-5),
    activation: read.string("hidden_act", "quick_gelu") as ClipTextConfig["activation"],
    penultimate: false,
  };
}

/**
 * Reads open_clip_config.json, in the reading of the method and of Stable Diffusion 2: the penultimate layer.
 * Throws InputError for settings that are not implemented.
 */
export function readOpenClipConfig(file: string, config: Config): ClipTextConfig {
  const model = config.model_cfg as Config;
  const text = new ConfigReader(file, (model.text_cfg as Config | undefined) ?? {});
  text.only({
    hf_model_name: [], act_kwargs: [], norm_kwargs: [], ls_init_value: [],
    no_causal_mask: [false], embed_cls: [false], final_ln_after_pool: [false],
  });
  const width = text.number("width", 512);
  const heads = text.number("heads", 8);
  if (width % heads !== 0) text.fail("heads", `${heads} does not divide width ${width}`);
  return {
    vocabSize: text.number("vocab_size", 49408),
    width,
    layers: text.number("layers", 12),
    heads,
    intermediate: Math.floor(width * text.number("mlp_ratio", 4)),
    positions: text.number("context_length", 77),
    eps: 1e-5,
    activation: new ConfigReader(file, model).boolean("quick_gelu", false) ? "quick_gelu" : "gelu",
    penultimate: true,
  };
}

class ClipLayer {
  readonly #norm1: LayerNorm;
  readonly #q: Linear;
  readonly #k: Linear;
  readonly #v: Linear;
  readonly #out: Linear;
  readonly #norm2: LayerNorm;
  readonly #fc1: Linear;
  readonly #fc2: Linear;
  readonly #config: ClipTextConfig;

  constructor(p: ParameterScope, config: ClipTextConfig) {
    const { width, intermediate, eps } = config;
    this.#norm1 = new LayerNorm(p.at("layer_norm1"), width, eps);
    this.#q = new Linear(p.at("self_attn.q_proj"), width, width);
    this.#k = new Linear(p.at("self_attn.k_proj"), width, width);
    this.#v = new Linear(p.at("self_attn.v_proj"), width, width);
    this.#out = new Linear(p.at("self_attn.out_proj"), width, width);
    this.#norm2 = new LayerNorm(p.at("layer_norm2"), width, eps);
    this.#fc1 = new Linear(p.at("mlp.fc1"), width, intermediate);
    this.#fc2 = new Linear(p.at("mlp.fc2"), intermediate, width);
    this.#config = config;
  }

  /** x [B, N, width] to the same shape; every position sees itself and those before it. */
  forward(x: Tensor): Tensor {
    const { heads, activation } = this.#config;
    const normed = this.#norm1.forward(x);
    const attended = attention(this.#q.forward(normed), this.#k.forward(normed), this.#v.forward(normed), { heads, causal: true });
    const h = this.#out.forward(attended, { residual: x });
    return this.#fc2.forward(this.#fc1.forward(this.#norm2.forward(h), { activation }), { residual: h });
  }
}

/** transformers' CLIPTextModel (modeling_clip.py). Keys without the prefix `text_model.`. */
export class ClipTextModel implements Model {
  /** What it was built from. */
  readonly config: ClipTextConfig;
  /** By key without `text_model.`. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Position ids, and the last layer's weights where `penultimate` leaves it out. */
  readonly ignoredKeys: RegExp;
  readonly #tokens: Embedding;
  readonly #positions: Embedding;
  readonly #layers: ClipLayer[];
  readonly #finalNorm: LayerNorm;

  constructor(config: ClipTextConfig) {
    this.config = config;
    const p = new ParameterScope();
    this.parameters = p.all;
    this.#tokens = new Embedding(p.at("embeddings.token_embedding"), config.vocabSize, config.width);
    this.#positions = new Embedding(p.at("embeddings.position_embedding"), config.positions, config.width);
    const layers = config.penultimate ? config.layers - 1 : config.layers;
    this.ignoredKeys = new RegExp(`^(embeddings\\.position_ids$${config.penultimate ? `|encoder\\.layers\\.${layers}\\.` : ""})`);
    this.#layers = Array.from({ length: layers }, (_, i) => new ClipLayer(p.at("encoder.layers").at(i), config));
    this.#finalNorm = new LayerNorm(p.at("final_layer_norm"), config.width, config.eps);
  }

  /** Token ids u32 [B, N] to the hidden state after the final norm [B, N, width]. */
  forward(ids: Tensor, options: { dtype: Float }): Tensor {
    const { gpu } = ids;
    const [batch, length] = ids.shape;
    return gpu.scope("clip", () => {
      // 1. Embeddings
      const positions = positionIds(gpu, batch, length);
      const x0 = add(this.#tokens.forward(ids, options.dtype), this.#positions.forward(positions, options.dtype));
      // 2. Layers  3. Final norm
      return this.#finalNorm.forward(this.#layers.reduce((x, layer, i) => gpu.scope(`layers.${i}`, () => layer.forward(x)), x0));
    });
  }
}
