import { WeightsError } from "../errors.ts";
import { type Tensor, sizeOf } from "../tensor.ts";

/**
 * How a checkpoint tensor lies on the device. linear: [out, in] becomes [in, out]; conv: [out, in, kh, kw] becomes
 * [kh, kw, in, out]; plain: as it is; table: rows looked up by index, split into chunks that one binding can hold.
 */
export type Packing = "linear" | "conv" | "plain" | "table";

/** A LoRA's part in a linear layer: factor * up(down(x)). */
export interface LowRank {
  /** [rank, in] */
  readonly down: Parameter;
  /** [out, rank] */
  readonly up: Parameter;
  /** alpha / rank */
  readonly factor: number;
}

/** One named weight of a model: declared when the model is built from its config, filled when it is loaded. */
export class Parameter {
  /** Its key in the checkpoint, without the model's prefix. */
  readonly name: string;
  /** Its shape in the checkpoint (PyTorch's order). */
  readonly shape: readonly number[];
  readonly packing: Packing;
  /** Of a linear layer's weight: what a LoRA adds to it. */
  lowRank: LowRank | undefined;
  #chunks: Tensor[] | undefined;

  constructor(name: string, shape: readonly number[], packing: Packing) {
    this.name = name;
    this.shape = shape;
    this.packing = packing;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  /** Shape on the device. */
  get packedShape(): readonly number[] {
    const [out, input, ...taps] = this.shape;
    if (this.packing === "linear") return [input, out];
    if (this.packing === "conv") return [...taps, input, out];
    return this.shape;
  }

  get loaded(): boolean {
    return this.#chunks !== undefined;
  }

  /** The weight. Throws when it was not loaded. */
  get tensor(): Tensor {
    const chunks = this.chunks;
    if (chunks.length !== 1) throw new WeightsError(this.name, "is split into chunks and cannot be used as one tensor");
    return chunks[0];
  }

  /** The row chunks of a table (one for all other packings). */
  get chunks(): Tensor[] {
    if (!this.#chunks) throw new WeightsError(this.name, "was used before the model's weights were loaded");
    return this.#chunks;
  }

  fill(chunks: Tensor[]): void {
    this.free();
    this.#chunks = chunks;
  }

  free(): void {
    for (const chunk of this.#chunks ?? []) chunk.free();
    this.#chunks = undefined;
  }
}

/** Where a module declares its parameters: a prefix of checkpoint keys within one model. */
export class ParameterScope {
  readonly #all: Map<string, Parameter>;
  readonly #preparations: (() => void)[];
  readonly prefix: string;

  constructor(all = new Map<string, Parameter>(), prefix = "", preparations: (() => void)[] = []) {
    this.#all = all;
    this.#preparations = preparations;
    this.prefix = prefix;
  }

  /** The scope of a submodule. */
  at(name: string | number): ParameterScope {
    return new ParameterScope(this.#all, this.prefix ? `${this.prefix}.${name}` : String(name), this.#preparations);
  }

  declare(name: string, shape: readonly number[], packing: Packing): Parameter {
    const parameter = new Parameter(this.prefix ? `${this.prefix}.${name}` : name, shape, packing);
    this.#all.set(parameter.name, parameter);
    return parameter;
  }

  /** Adds to what `prepare` does. */
  whenLoaded(preparation: () => void): void {
    this.#preparations.push(preparation);
  }

  /** A model's `prepare`: what its layers asked for with `whenLoaded`, in that order. */
  readonly prepare = (): void => this.#preparations.forEach((preparation) => preparation());

  /** All parameters declared so far in this model, by checkpoint key. */
  get all(): ReadonlyMap<string, Parameter> {
    return this.#all;
  }
}

/** A model, as its loader sees it: its parameters by checkpoint key. */
export interface Model {
  /** By checkpoint key, without the prefix that files may put before it; without values until the model is loaded. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Keys that published checkpoints carry beside the model's own. */
  readonly ignoredKeys: RegExp;
  /** Turns a key of an older layout into the present one. */
  readonly renameKey?: (key: string) => string;
  /** Computes what layers need of the loaded weights, in their place, such as folded batch norms. */
  readonly prepare?: () => void;
}

/** Gives a model's weights back. */
export function freeModel(model: Model): void {
  for (const parameter of model.parameters.values()) parameter.free();
}
