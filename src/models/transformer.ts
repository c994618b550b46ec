import { attention, crossAttention } from "../ops/attention.ts";
import type { Tensor } from "../tensor.ts";
import { Conv2d, GEGLU, GroupNorm, LayerNorm, Linear, consume } from "./layers.ts";
import type { ParameterScope } from "./parameters.ts";

/** Keys and values of one cross-attention layer, projected from the text once: both [P, N, inner]. */
export interface KeyValues {
  /** Of the layer's `to_k`. */
  k: Tensor;
  /** Of the layer's `to_v`. */
  v: Tensor;
}

/** Where captured attention probabilities go. */
export interface AttentionSink {
  /** Weights of the token sets to sum over: f32 [P, S, N]. Or every token by itself. */
  readonly capture: { weights: Tensor } | { all: true };
  /** Whether a layer is to be captured. */
  wants(layer: string): boolean;
  /** Receives the captured head means of a layer, f32 [B, S, H * W]; valid only during the call. */
  take(layer: string, captured: Tensor, height: number, width: number): void;
  /** True once the last wanted layer was taken: the rest of the forward pass is left out. */
  readonly done: boolean;
}

/** The text side of a forward pass: keys and values by layer, and which phrase each batch item uses. */
export interface TextContext {
  /** Of every cross-attention layer by its `name`: what `UNet2DConditionModel.projectText` gives. */
  readonly keyValues: ReadonlyMap<string, KeyValues>;
  /** u32 [B]: index of the phrase of each batch item. Absent: one phrase for all, or one each. */
  readonly contextOf?: Tensor;
  /** Takes the probabilities of the layers that it wants; absent: none are captured. */
  readonly sink?: AttentionSink;
}

/** Sizes of a transformer block: `width` channels in `heads` heads, text of `contextWidth` channels. */
interface BlockSizes {
  width: number;
  heads: number;
  contextWidth: number;
  /** How many times the latent's side was halved. */
  level: number;
}

class SelfAttention {
  readonly #q: Linear;
  readonly #k: Linear;
  readonly #v: Linear;
  readonly #out: Linear;
  readonly #heads: number;

  constructor(p: ParameterScope, { width, heads }: BlockSizes) {
    this.#q = new Linear(p.at("to_q"), width, width, { bias: false });
    this.#k = new Linear(p.at("to_k"), width, width, { bias: false });
    this.#v = new Linear(p.at("to_v"), width, width, { bias: false });
    this.#out = new Linear(p.at("to_out.0"), width, width);
    this.#heads = heads;
  }

  /** x [B, N, width], normalised from `residual`, to [B, N, width]. */
  forward(x: Tensor, residual: Tensor): Tensor {
    return x.gpu.scope("attn1", () => {
      const [q, k, v] = [this.#q, this.#k, this.#v].map((projection) => projection.forward(x));
      const o = attention(q, k, v, { heads: this.#heads });
      for (const projected of [q, k, v]) projected.free();
      return this.#out.forward(o, { residual });
    });
  }
}

/** The cross-attention layer whose probabilities are the product's subject. */
export class CrossAttention {
  /** Its module path, as in the checkpoint and in the goldens. */
  readonly name: string;
  /** How many times the latent's side was halved where it stands. */
  readonly level: number;
  readonly #q: Linear;
  readonly #k: Linear;
  readonly #v: Linear;
  readonly #out: Linear;
  readonly #heads: number;

  constructor(p: ParameterScope, { width, heads, contextWidth, level }: BlockSizes) {
    this.name = p.prefix;
    this.level = level;
    this.#q = new Linear(p.at("to_q"), width, width, { bias: false });
    this.#k = new Linear(p.at("to_k"), contextWidth, width, { bias: false });
    this.#v = new Linear(p.at("to_v"), contextWidth, width, { bias: false });
    this.#out = new Linear(p.at("to_out.0"), width, width);
    this.#heads = heads;
  }

  /** Projects the text, [P, N, contextWidth]: done once a phrase, not once a timestep. */
  project(text: Tensor): KeyValues {
    return { k: this.#k.forward(text), v: this.#v.forward(text) };
  }

  /** x [B, H * W, width], normalised from `residual`, to the same shape. */
  forward(x: Tensor, residual: Tensor, context: TextContext, height: number, width: number): Tensor {
    return x.gpu.scope("attn2", () => {
      const { keyValues, contextOf, sink } = context;
      const { k, v } = keyValues.get(this.name) ?? this.#missing();
      const wanted = sink?.wants(this.name) ? sink : undefined;
      const { out, captured } = crossAttention(this.#q.forward(x), k, v, { heads: this.#heads, contextOf, capture: wanted?.capture });
      if (wanted && captured) wanted.take(this.name, captured, height, width);
      return sink?.done ? residual : this.#out.forward(out, { residual });
    });
  }

  #missing(): never {
    throw new TypeError(`${this.name}: the text was not projected for this layer`);
  }
}

class BasicTransformerBlock {
  readonly #norm1: LayerNorm;
  readonly #attn1: SelfAttention;
  readonly #norm2: LayerNorm;
  readonly attn2: CrossAttention;
  readonly #norm3: LayerNorm;
  readonly #gate: GEGLU;
  readonly #down: Linear;

  constructor(p: ParameterScope, sizes: BlockSizes) {
    const { width } = sizes;
    this.#norm1 = new LayerNorm(p.at("norm1"), width, 1e-5);
    this.#attn1 = new SelfAttention(p.at("attn1"), sizes);
    this.#norm2 = new LayerNorm(p.at("norm2"), width, 1e-5);
    this.attn2 = new CrossAttention(p.at("attn2"), sizes);
    this.#norm3 = new LayerNorm(p.at("norm3"), width, 1e-5);
    this.#gate = new GEGLU(p.at("ff.net.0"), width, 4 * width);
    this.#down = new Linear(p.at("ff.net.2"), 4 * width, width);
  }

  /** x [B, H * W, width] to the same shape. */
  forward(x: Tensor, context: TextContext, height: number, width: number): Tensor {
    // 1. Self-attention  2. Cross-attention  3. Feed-forward
    const x1 = consume(this.#norm1.forward(x), (normed) => this.#attn1.forward(normed, x));
    const x2 = consume(this.#norm2.forward(x1), (normed) => this.attn2.forward(normed, x1, context, height, width));
    if (context.sink?.done) return x2;
    x1.free();
    return x.gpu.scope("ff", () => {
      const gated = consume(this.#norm3.forward(x2), (normed) => this.#gate.forward(normed));
      return this.#down.forward(gated, { residual: x2 });
    });
  }
}

/** Options of a Transformer2DModel, from the U-Net's configuration. */
export interface Transformer2DOptions extends BlockSizes {
  layers: number;
  groups: number;
  /** Projections in and out as linear layers on tokens (SD 2) or 1x1 convolutions (SD 1): the same arithmetic. */
  linearProjection: boolean;
}

/** diffusers' Transformer2DModel: group norm, projection, transformer blocks, projection, residual. */
export class Transformer2DModel {
  readonly #norm: GroupNorm;
  readonly #projIn: Linear | Conv2d;
  readonly #blocks: BasicTransformerBlock[];
  readonly #projOut: Linear | Conv2d;

  constructor(p: ParameterScope, options: Transformer2DOptions) {
    const { width, layers, groups, linearProjection } = options;
    const projection = (name: string) => (linearProjection ? new Linear(p.at(name), width, width) : new Conv2d(p.at(name), width, width, { kernel: 1 }));
    this.#norm = new GroupNorm(p.at("norm"), groups, width, 1e-6);
    this.#projIn = projection("proj_in");
    this.#blocks = Array.from({ length: layers }, (_, i) => new BasicTransformerBlock(p.at("transformer_blocks").at(i), options));
    this.#projOut = projection("proj_out");
  }

  /** The cross-attention layers in order. */
  get crossAttentions(): CrossAttention[] {
    return this.#blocks.map((block) => block.attn2);
  }

  /** x [B, H, W, width] to the same shape. */
  forward(x: Tensor, context: TextContext): Tensor {
    return x.gpu.scope("attention", () => {
      const [batch, height, width, channels] = x.shape;
      const projected = consume(this.#norm.forward(x), (normed) => this.#projIn.forward(normed));
      let tokens = consume(projected, (p) => p.reshape(batch, height * width, channels));
      for (const block of this.#blocks) {
        tokens = consume(tokens, (t) => block.forward(t, context, height, width));
        if (context.sink?.done) return x;
      }
      return this.#projOut.forward(tokens.reshape(batch, height, width, channels), { residual: x });
    });
  }
}
