import type { Gradients } from "./autograd.ts";
import { ShapeError } from "./errors.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Tensor } from "./tensor.ts";

/** Tensors by name; absent ones are optional inputs that were not given. */
export type Named = Readonly<Record<string, Tensor | undefined>>;

/** Which inputs want a gradient. */
export type Wants<I extends Named> = { readonly [name in keyof I]: boolean };

/** Gradients by the names of the inputs. */
export type GradientsOf<I extends Named> = { readonly [name in keyof I]?: Tensor };

/** How one operation passes the gradient of its output on. */
export interface Differentiation<I extends Named, S extends Named> {
  /** Inputs that may want a gradient. */
  inputs: I;
  /** What the backward pass reads; kept alive until then. */
  saved: S;
  /**
   * Gradients of the inputs that want one, from `dy`, of the output's shape: each a tensor or a view of its own.
   * Activations' gradients have their dtype, parameters' (weight, bias) are f32.
   */
  backward: (dy: Tensor, saved: S, wants: Wants<I>) => GradientsOf<I>;
}

/** One operation of the tape. */
export interface TapeEntry {
  readonly scope: string;
  /** Root of the output. */
  readonly output: Tensor;
  readonly shape: readonly number[];
  /** Adds the gradients of the inputs that want one, from `dy` of `shape`. */
  backward(dy: Tensor, into: Gradients): void;
  free(): void;
}

/** Is told of an operation before the next one runs: what it computed, and from what that may want a gradient. */
export type OnOutput = (output: Tensor, inputs: Named) => void;

const activeTapes = new WeakMap<Gpu, Tape>();

/** The operations between watched tensors and a loss, in order: what a backward pass walks back over. */
export class Tape {
  /** The device whose operations are recorded: one tape at a time is active on it. */
  readonly gpu: Gpu;
  /** What was recorded so far, in order; empty on a tape that only tracks, and after `free`. */
  readonly entries: TapeEntry[] = [];
  /** Told of every operation on tracked tensors; that of `within` where none was given. */
  readonly onOutput: OnOutput | undefined;
  readonly #within: Tape | undefined;
  readonly #records: boolean;
  /** Roots of the tensors whose gradient is wanted: watched ones, and all that was computed from them. */
  readonly #tracked = new Set<Tensor>();

  /**
   * `within`: a tape whose tracked tensors are tracked here too. `records` false: only finds out what is tracked.
   * `onOutput`: told of every operation on tracked tensors, in order; that of `within` is too.
   */
  constructor(gpu: Gpu, options: { within?: Tape; records?: boolean; onOutput?: OnOutput } = {}) {
    this.gpu = gpu;
    this.#within = options.within;
    this.#records = options.records ?? true;
    this.onOutput = options.onOutput ?? options.within?.onOutput;
  }

  /** Asks for the gradients of tensors; parameters that are not watched are frozen and cost nothing. */
  watch(tensors: Iterable<Tensor>): void {
    for (const tensor of tensors) this.#tracked.add(tensor.root);
  }

  /** Whether the tensor is watched, or came of one that is. */
  tracks(tensor: Tensor): boolean {
    return this.#tracked.has(tensor.root) || (this.#within?.tracks(tensor) ?? false);
  }

  /** Whether an operation on these inputs will be recorded. */
  wantsGradient(inputs: Iterable<Tensor | undefined>): boolean {
    return this.#records && [...inputs].some((input) => input !== undefined && this.tracks(input));
  }

  /** Runs `fn` with its operations recorded. */
  run<R>(fn: () => R): R {
    return withTape(this.gpu, this, fn);
  }

  /** Records an operation on tracked tensors. Views of `saved` are kept for `backward`. */
  record<S extends Named>(output: Tensor, saved: S, backward: (dy: Tensor, saved: S, into: Gradients) => void): void {
    this.watch([output]);
    if (!this.#records) return;
    const kept = Object.fromEntries(Object.entries(saved).map(([name, tensor]) => [name, tensor && keptView(tensor)])) as unknown as S;
    this.entries.push({
      scope: output.gpu.scopeName,
      output: output.root,
      shape: output.shape,
      backward: (dy, into) => backward(dy, kept, into),
      free: () => {
        for (const tensor of Object.values(kept)) tensor?.free();
      },
    });
  }

  /** Frees what the entries saved. */
  free(): void {
    for (const entry of this.entries) entry.free();
    this.entries.length = 0;
    this.#tracked.clear();
  }
}

/** Runs `fn` with `tape` active, or with none. */
export function withTape<R>(gpu: Gpu, tape: Tape | undefined, fn: () => R): R {
  const outer = activeTapes.get(gpu);
  if (tape) activeTapes.set(gpu, tape);
  else activeTapes.delete(gpu);
  try {
    return fn();
  } finally {
    if (outer) activeTapes.set(gpu, outer);
    else activeTapes.delete(gpu);
  }
}

/** The tape that records on a device at the moment. */
export function activeTape(gpu: Gpu): Tape | undefined {
  return activeTapes.get(gpu);
}

/** Whether an op on these inputs will be recorded: only then need it store statistics for its backward pass. */
export function wantsGradient(...inputs: (Tensor | undefined)[]): boolean {
  const gpu = inputs.find((input) => input !== undefined)?.gpu;
  return (gpu && activeTapes.get(gpu)?.wantsGradient(inputs)) ?? false;
}

/** Throws ShapeError when a gradient is wanted through an op that has no backward pass: it would be lost in silence. */
export function refuseGradient(op: string, ...inputs: Tensor[]): void {
  if (wantsGradient(...inputs)) throw new ShapeError(op, "has no backward pass", inputs[0].gpu.scopeName);
}

/**
 * To be called by every differentiable op after its forward pass, with how its gradient flows. Does nothing without a
 * tape, or when no input wants a gradient.
 */
export function differentiable<I extends Named, S extends Named>(output: Tensor, how: Differentiation<I, S>): Tensor {
  const tape = activeTapes.get(output.gpu);
  if (!tape) return output;
  const inputs = Object.entries(how.inputs);
  const wanted = inputs.filter(([, input]) => input !== undefined && tape.tracks(input)) as [string, Tensor][];
  if (wanted.length === 0) return output;
  tape.onOutput?.(output, how.inputs);
  const wants = Object.fromEntries(inputs.map(([name, input]) => [name, input !== undefined && tape.tracks(input)])) as Wants<I>;
  tape.record(output, how.saved, (dy, saved, into) => {
    const gradients = how.backward(dy, saved, wants);
    for (const [name, input] of wanted) {
      const gradient = gradients[name];
      if (!gradient) throw new ShapeError("backward", `no gradient came for ${name}`, output.gpu.scopeName);
      into.add(input, gradient);
    }
  });
  return output;
}

/** A view that outlives the present scopes. */
function keptView(tensor: Tensor): Tensor {
  return tensor.gpu.keep(tensor.reshape(...tensor.shape));
}
