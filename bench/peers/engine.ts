import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Model } from "../../src/models/parameters.ts";
import type { Tensor } from "../../src/tensor.ts";

/** A weight in PyTorch's order; its values follow from its name, so that every process makes the same ones. */
export interface Weight {
  name: string;
  shape: readonly number[];
  /** Where they are not random. */
  values?: Float32Array;
}

/** Weight and bias of a linear layer [out, in], a convolution [out, in, kh, kw] or a norm [C]. */
export interface Layer {
  weight: Weight;
  bias?: Weight;
}

/** Rows and columns of zeros: top, left, bottom, right. */
export type Padding = readonly [top: number, left: number, bottom: number, right: number];

/**
 * What the work is written in; every engine does it in its own way and layout.
 * Images are [B, H, W, C] as seen from here, sequences [B, N, C].
 */
export interface Ops<T> {
  /** [M, K] by [K, N]. */
  matmul(a: T, b: T): T;
  linear(x: T, layer: Layer, activation?: "gelu" | "silu"): T;
  /** [..., K] to [..., N] by a layer of 2N outputs: the first half times the GELU of the second. */
  geglu(x: T, layer: Layer): T;
  conv2d(x: T, layer: Layer, options: { padding: Padding; stride?: 1 | 2 }): T;
  groupNorm(x: T, layer: Layer, options: { groups: number; eps: number; silu?: boolean }): T;
  layerNorm(x: T, layer: Layer, eps: number): T;
  softmax(x: T): T;
  /** q [B, Nq, C], k and v [B, Nk, C] in heads of C / heads: [B, Nq, C]. */
  attention(q: T, k: T, v: T, heads: number): T;
  /** The same, with the mean over the heads of its probabilities, [B, Nq, Nk]. */
  mappedAttention(q: T, k: T, v: T, heads: number): { out: T; map: T };
  add(a: T, b: T): T;
  /** x [1, H, W, C] and shift [1, C]. */
  addToPixels(x: T, shift: T): T;
  /** Of the channels of two images. */
  concat(a: T, b: T): T;
  /** Nearest, by 2. */
  upsample(x: T): T;
  /** [B, H, W, C] to [B, H * W, C] and back. */
  tokens(x: T): T;
  image(x: T, height: number, width: number): T;
  /** ids [B, N] into a table [V, C]. */
  embedding(ids: T, table: Weight): T;
  constant(weight: Weight): T;
  /** Mean SSIM of maps [P, side, side] with values 0 to 255, as in kernels/grounding/ssim_uint8.wgsl: [P]. */
  ssim(a: T, b: T): T;
}

/** An input of a work. */
export interface Input {
  shape: readonly number[];
  /** An image lies in memory as an engine likes it; ids are whole numbers below `below`. */
  kind: "plain" | "image" | "ids" | "grey";
  below?: number;
}

/** A model of the product and how a work is done with it. */
export interface ProductModel {
  model: Model;
  forward(inputs: Record<string, Tensor>, gpu: Gpu): Tensor | undefined;
}

/** One thing to measure. */
export interface Work {
  name: string;
  /** The best correct peer's time over ours that is asked for. */
  bar?: number;
  flops?: number;
  inputs: Record<string, Input>;
  /** Records or runs the work on an engine: outputs by name. */
  build<T>(ops: Ops<T>, inputs: Record<string, T>): Record<string, T>;
  /** Whole steps are done by the product's own model. */
  product?: () => ProductModel;
  /** Whether it has attention, and whether it returns its map. */
  attention?: "plain" | "mapped";
}

/** Who computes. */
export interface EngineFacts {
  version: string;
  device: string;
  driver: string;
  /** What is to be known about its times. */
  note?: string;
}

/** Numbers by the name of an output, images channels-last. */
export type Outputs = Record<string, Float32Array | Float64Array>;

/** A work that is ready to run: inputs and weights are on the device, kernels compiled by the first run. */
export interface Prepared {
  /** Runs it so often and waits until the device is done. */
  run(times: number): Promise<void>;
  /** The outputs of the last run. */
  read(): Promise<Outputs>;
  free(): void | Promise<void>;
}

/** An engine on a device. */
export interface Engine {
  facts: EngineFacts;
  prepare(work: Work): Promise<Prepared>;
}
