import { ShapeError } from "./errors.ts";
import { addInto } from "./ops/accumulate.ts";
import { add } from "./ops/pointwise.ts";
import { type Named, Tape, type TapeEntry, activeTape, withTape } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

/** Gradients by tensor: of watched tensors, after `backward`. */
export class Gradients {
  readonly #byRoot = new Map<Tensor, Tensor>();

  /** The gradient of a tensor (or of what it is a view of); undefined when nothing reached it. */
  get(tensor: Tensor): Tensor | undefined {
    return this.#byRoot.get(tensor.root);
  }

  /** Adds to a tensor's gradient. Takes `gradient` over. */
  add(tensor: Tensor, gradient: Tensor): void {
    const { root } = tensor;
    const sum = this.#byRoot.get(root);
    if (!sum) {
      const shaped = gradient.reshape(...root.shape);
      gradient.free();
      this.#byRoot.set(root, gradient.gpu.keep(shaped));
    } else if (sum.buffer.references === 1) {
      addInto(sum, gradient);
      gradient.free();
    } else {
      // An op passed its gradient on as it was: the buffer is another tensor's gradient too.
      this.#byRoot.set(root, gradient.gpu.keep(add(sum, gradient.reshape(...root.shape))));
      sum.free();
      gradient.free();
    }
  }

  /** Takes a gradient out: its last reader frees it. */
  take(tensor: Tensor): Tensor | undefined {
    const gradient = this.#byRoot.get(tensor.root);
    this.#byRoot.delete(tensor.root);
    return gradient;
  }

  /** Frees all gradients that were not taken out. */
  free(): void {
    for (const gradient of this.#byRoot.values()) gradient.free();
    this.#byRoot.clear();
  }
}

/**
 * Walks the tape back from `y`, whose gradient is `dy`, and returns the gradients of the watched tensors that were not
 * computed by the tape (its leaves). Gradients of intermediate tensors are freed as soon as they were passed on.
 * `into`: adds to gradients that are there, in place, for accumulation over several batches. The tape is freed.
 * Throws ShapeError when nothing watched leads to `y`; after an error, `into` is good for nothing but to be freed.
 */
export function backward(tape: Tape, y: Tensor, dy: Tensor, into?: Gradients): Gradients {
  const { gpu } = tape;
  const gradients = into ?? new Gradients();
  try {
    if (!tape.tracks(y)) throw new ShapeError("backward", "no watched tensor leads to the output", gpu.scopeName);
    withTape(gpu, undefined, () => {
      gradients.add(y, dy.reshape(...dy.shape));
      for (const entry of tape.entries.toReversed()) passOn(entry, gradients);
    });
  } catch (error) {
    if (!into) gradients.free();
    throw error;
  } finally {
    tape.free();
  }
  return gradients;
}

/** Adds the gradients of an entry's inputs, if one came for its output, and frees what it saved. */
function passOn(entry: TapeEntry, gradients: Gradients): void {
  const gradient = gradients.take(entry.output);
  if (gradient) {
    const { gpu } = gradient;
    try {
      gpu.scope(backwardScope(gpu.scopeName, entry.scope), () => entry.backward(gradient.reshape(...entry.shape), gradients));
    } finally {
      gradient.free();
    }
  }
  entry.free();
}

/** Name of the scope in which an entry's gradients are computed: `backward/` and the entry's path from here. */
function backwardScope(here: string, path: string): string {
  const relative = `${path}/`.startsWith(`${here}/`) ? path.slice(here.length + 1) : path;
  return relative ? `backward/${relative}` : "backward";
}

/**
 * Gradient checkpointing: runs `fn` without saving anything but its inputs, and runs it again in the backward pass.
 * Costs one more forward pass of `fn`, spares all that it would have saved; the gradients have the same bits.
 * `inputs`: the tensors that `fn` reads and that others may free; parameters need not be among them.
 */
export function checkpoint<I extends Named>(inputs: I, fn: (inputs: I) => Tensor): Tensor {
  const gpu = Object.values(inputs).find((tensor) => tensor !== undefined)?.gpu;
  const tape = gpu && activeTape(gpu);
  if (!tape) return fn(inputs);
  const probe = new Tape(gpu, { within: tape, records: false });
  const y = probe.run(() => fn(inputs));
  if (probe.tracks(y)) {
    tape.record(y, inputs, (dy, saved, into) => {
      const inner = new Tape(gpu, { within: tape });
      backward(inner, inner.run(() => fn(saved)), dy, into);
    });
  }
  return y;
}
