import type { Gpu } from "../gpu/gpu.ts";
import { conv2d } from "../ops/conv.ts";
import { embedding } from "../ops/embed.ts";
import { geglu, linear } from "../ops/matmul.ts";
import { groupNorm, layerNorm } from "../ops/norm.ts";
import type { Float } from "../ops/check.ts";
import { scale } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import type { Parameter, ParameterScope } from "./parameters.ts";

type LinearArguments = Omit<Parameters<typeof linear>[1], "weight" | "bias">;
type ConvArguments = Omit<Parameters<typeof conv2d>[1], "weight" | "bias" | "stride" | "padding">;

/** `use(x)`; then x is given back, before its scope ends: its buffer serves what follows. A tape keeps what it needs. */
export function consume<R>(x: Tensor, use: (x: Tensor) => R): R {
  const result = use(x);
  x.free();
  return result;
}

/** A module that maps one tensor to another. */
export interface Layer {
  forward(x: Tensor): Tensor;
}

/** x through layers in order; x and what each layer gives to the next are given back. */
export function sequence(x: Tensor, layers: readonly Layer[]): Tensor {
  return layers.reduce((y, layer) => consume(y, (y) => layer.forward(y)), x);
}

/** torch.nn.Linear: x [..., in] -> [..., out], with the low-rank product of a LoRA where its weight has one. */
export class Linear {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(p: ParameterScope, inFeatures: number, outFeatures: number, options: { bias?: boolean } = {}) {
    this.weight = p.declare("weight", [outFeatures, inFeatures], "linear");
    this.bias = options.bias === false ? undefined : p.declare("bias", [outFeatures], "plain");
  }

  forward(x: Tensor, options: LinearArguments = {}): Tensor {
    const y = linear(x, { ...options, weight: this.weight.tensor, bias: this.bias?.tensor });
    const { lowRank } = this.weight;
    if (!lowRank) return y;
    if (options.activation) throw new TypeError(`${this.weight.name}: a LoRA behind an activation would be another layer`);
    const narrow = scale(linear(x, { weight: lowRank.down.tensor }), lowRank.factor); // [..., rank]
    return linear(narrow, { weight: lowRank.up.tensor, residual: y });
  }
}

/** diffusers' GEGLU: one projection to twice the width, its first half gated by the GELU of the second. */
export class GEGLU {
  readonly #proj: Linear;

  constructor(p: ParameterScope, inFeatures: number, outFeatures: number) {
    this.#proj = new Linear(p.at("proj"), inFeatures, 2 * outFeatures);
  }

  forward(x: Tensor): Tensor {
    return geglu(x, { weight: this.#proj.weight.tensor, bias: this.#proj.bias?.tensor });
  }
}

/** Kernel size, stride and padding [top, left, bottom, right] of a convolution, and whether it has a bias (default true). */
export interface ConvGeometry {
  kernel: number;
  stride?: 1 | 2;
  padding?: readonly [number, number, number, number];
  bias?: boolean;
}

/** torch.nn.Conv2d on channels-last images: x [B, H, W, in] -> [B, H', W', out]. */
export class Conv2d {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly #stride: 1 | 2;
  readonly #padding: readonly [number, number, number, number];

  constructor(p: ParameterScope, inChannels: number, outChannels: number, geometry: ConvGeometry) {
    const { kernel, stride = 1 } = geometry;
    const same = (kernel - 1) / 2;
    this.weight = p.declare("weight", [outChannels, inChannels, kernel, kernel], "conv");
    this.bias = geometry.bias === false ? undefined : p.declare("bias", [outChannels], "plain");
    this.#stride = stride;
    this.#padding = geometry.padding ?? [same, same, same, same];
  }

  forward(x: Tensor, options: ConvArguments = {}): Tensor {
    return conv2d(x, { ...options, weight: this.weight.tensor, bias: this.bias?.tensor, stride: this.#stride, padding: this.#padding });
  }
}

/** torch.nn.GroupNorm on channels-last input, optionally followed by SiLU. */
export class GroupNorm {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #groups: number;
  readonly #eps: number;

  constructor(p: ParameterScope, groups: number, channels: number, eps: number) {
    this.weight = p.declare("weight", [channels], "plain");
    this.bias = p.declare("bias", [channels], "plain");
    this.#groups = groups;
    this.#eps = eps;
  }

  forward(x: Tensor, options: { silu?: boolean; skip?: Tensor } = {}): Tensor {
    return groupNorm(x, { ...options, weight: this.weight.tensor, bias: this.bias.tensor, groups: this.#groups, eps: this.#eps });
  }
}

/** torch.nn.LayerNorm over the last dimension. */
export class LayerNorm {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #eps: number;

  constructor(p: ParameterScope, channels: number, eps: number) {
    this.weight = p.declare("weight", [channels], "plain");
    this.bias = p.declare("bias", [channels], "plain");
    this.#eps = eps;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, { weight: this.weight.tensor, bias: this.bias.tensor, eps: this.#eps });
  }
}

/** The positions 0 to length - 1 of `batch` sequences, u32 [batch, length]: a table that recorded steps may read. */
export function positionIds(gpu: Gpu, batch: number, length: number): Tensor {
  return gpu.constant(`positions ${batch} ${length}`, [batch, length], () => Uint32Array.from({ length: batch * length }, (_, i) => i % length));
}

/** torch.nn.Embedding: ids u32 [...] -> [..., width]. */
export class Embedding {
  readonly weight: Parameter;

  constructor(p: ParameterScope, count: number, width: number) {
    this.weight = p.declare("weight", [count, width], "table");
  }

  forward(ids: Tensor, dtype: Float): Tensor {
    return embedding(ids, this.weight.chunks, { dtype });
  }
}
