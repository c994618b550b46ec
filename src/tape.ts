import type { Gpu } from "./gpu/gpu.ts";
import { Tensor } from "./tensor.ts";

/** Tensors by name; absent ones are optional inputs that were not given. */
export type Named = Readonly<Record<string, Tensor | undefined>>;

/** How one operation passes the gradient of its output on. */
export interface Differentiation<I extends Named, S extends Named> {
  /** Inputs that may want a gradient. */
  inputs: I;
  /** What the backward pass reads; kept alive until then. */
  saved: S;
  /**
   * Gradients of the inputs that want one, from `dy`, of the output's shape. Activations' gradients have their dtype,
   * parameters' (weight, bias) are f32.
   */
  backward: (dy: Tensor, saved: S, wants: { readonly [name in keyof I]: boolean }) => { readonly [name in keyof I]?: Tensor };
}

/** One operation of the tape. */
export interface TapeEntry {
  scope: string;
  output: Tensor;
  inputs: Named;
  wants: Readonly<Record<string, boolean>>;
  backward: (dy: Tensor) => Named;
  free(): void;
}

const activeTapes = new WeakMap<Gpu, Tape>();

/** The operations between watched tensors and a loss, in order: what a backward pass walks back over. */
export class Tape {
  readonly gpu: Gpu;
  readonly entries: TapeEntry[] = [];
  /** Roots of the tensors whose gradient is wanted: watched ones, and all that was computed from them. */
  readonly #tracked = new Set<Tensor>();

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** Asks for the gradients of tensors; parameters that are not watched are frozen and cost nothing. */
  watch(tensors: Iterable<Tensor>): void {
    for (const tensor of tensors) this.#tracked.add(tensor.root);
  }

  tracks(tensor: Tensor): boolean {
    return this.#tracked.has(tensor.root);
  }

  /** Runs `fn` with its operations recorded. */
  run<R>(fn: () => R): R {
    return withTape(this.gpu, this, fn);
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

/**
 * To be called by every differentiable op after its forward pass, with how its gradient flows. Does nothing without a
 * tape, or when no input wants a gradient.
 */
export function differentiable<I extends Named, S extends Named>(output: Tensor, how: Differentiation<I, S>): Tensor {
  const tape = activeTapes.get(output.gpu);
  if (!tape) return output;
  const wants = Object.fromEntries(Object.entries(how.inputs).map(([name, input]) => [name, input !== undefined && tape.tracks(input)]));
  if (!Object.values(wants).includes(true)) return output;
  const saved = Object.fromEntries(Object.entries(how.saved).map(([name, tensor]) => [name, tensor && keptView(tensor)])) as unknown as S;
  tape.watch([output]);
  tape.entries.push({
    scope: output.gpu.scopeName,
    output: output.root,
    inputs: how.inputs,
    wants,
    backward: (dy) => how.backward(dy, saved, wants as { readonly [name in keyof I]: boolean }),
    free: () => {
      for (const tensor of Object.values(saved)) tensor?.free();
    },
  });
  return output;
}

/** A view that outlives the present scopes. */
function keptView(tensor: Tensor): Tensor {
  return tensor.gpu.keep(tensor.reshape(...tensor.shape));
}
