import { attention } from "../ops/attention.ts";
import type { Float } from "../ops/check.ts";
import { add } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { type Config, ConfigReader } from "../config.ts";
import { Embedding, LayerNorm, Linear, positionIds } from "./layers.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";

/** What a CLIP text encoder's config.json says. */
export interface ClipTextConfig {
  vocabSize: number;
  width: number;
  layers: number;
  heads: number;
  intermediate: number;
  positions: number;
  eps: number;
  activation: "quick_gelu" | "gelu";
}

/** Reads a CLIP text encoder's config.json. Throws InputError for settings that are not implemented. */
export function readClipTextConfig(file: string, config: Config): ClipTextConfig {
  const read = new ConfigReader(file, config);
  read.only({ hidden_act: ["quick_gelu", "gelu"] });
  const width = read.number("hidden_size");
  const heads = read.number("num_attention_heads");
  if (width % heads !== 0) read.fail("num_attention_heads", `${heads} does not divide hidden_size ${width}`);
  return {
    vocabSize: read.number("vocab_size", 49408),
    width,
    layers: read.number("num_hidden_layers"),
    heads,
    intermediate: read.number("intermediate_size"),
    positions: read.number("max_position_embeddings", 77),
    eps: read.number("layer_norm_eps", 1e-5),
    activation: read.string("hidden_act", "quick_gelu") as ClipTextConfig["activation"],
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
  readonly config: ClipTextConfig;
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly ignoredKeys = /^embeddings\.position_ids$/;
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
    this.#layers = Array.from({ length: config.layers }, (_, i) => new ClipLayer(p.at("encoder.layers").at(i), config));
    this.#finalNorm = new LayerNorm(p.at("final_layer_norm"), config.width, config.eps);
  }

  /**
   * Token ids u32 [B, N] to the last hidden state after the final norm [B, N, width]. `penultimate`: OpenCLIP's
   * reading, the output of the second last layer through the final norm.
   */
  forward(ids: Tensor, options: { dtype: Float; penultimate?: boolean }): Tensor {
    const { gpu } = ids;
    const [batch, length] = ids.shape;
    return gpu.scope("clip", () => {
      // 1. Embeddings
      const positions = positionIds(gpu, batch, length);
      const x0 = add(this.#tokens.forward(ids, options.dtype), this.#positions.forward(positions, options.dtype));
      // 2. Layers  3. Final norm
      const layers = options.penultimate ? this.#layers.slice(0, -1) : this.#layers;
      return this.#finalNorm.forward(layers.reduce((x, layer, i) => gpu.scope(`layers.${i}`, () => layer.forward(x)), x0));
    });
  }
}
