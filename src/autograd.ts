import { ShapeError } from "./errors.ts";
import { addInto } from "./ops/accumulate.ts";
import { add } from "./ops/pointwise.ts";
import { type Named, Tape, activeTape, differentiable, withTape } from "./tape.ts";
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
    const sum = this.#byRoot.get(tensor.root);
    if (!sum) {
      this.#byRoot.set(tensor.root, gradient.gpu.keep(gradient));
    } else if (sum.buffer.references === 1) {
      addInto(sum, gradient);
      gradient.free();
    } else {
      // An op passed its gradient on as it was: the buffer is another tensor's gradient too.
      this.#byRoot.set(tensor.root, gradient.gpu.keep(add(sum, gradient.reshape(...sum.shape))));
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

  free(): void {
    for (const gradient of this.#byRoot.values()) gradient.free();
    this.#byRoot.clear();
  }
}

/**
 * Walks the tape back from `y`, whose gradient is `dy`, and returns the gradients of the watched tensors that were not
 * computed by the tape (its leaves). Gradients of intermediate tensors are freed as soon as they were passed on.
 * `into`: adds to gradients that are there, for accumulation over several batches. The tape is freed.
 */
export function backward(tape: Tape, y: Tensor, dy: Tensor, into = new Gradients()): Gradients {
  const { gpu } = tape;
  into.add(y, gpu.keep(dy.reshape(...dy.shape)));
  for (const entry of tape.entries.toReversed()) {
    const gradient = into.take(entry.output);
    if (gradient) {
      gpu.scope(`backward/${entry.scope}`, () => {
        const dOutput = withTape(gpu, undefined, () => entry.backward(gradient.reshape(...entry.output.shape)));
        distribute(entry.inputs, entry.wants, dOutput, into);
      });
      gradient.free();
    }
    entry.free();
  }
  tape.entries.length = 0;
  tape.free();
  return into;
}

function distribute(inputs: Named, wants: Readonly<Record<string, boolean>>, gradients: Named, into: Gradients): void {
  for (const [name, input] of Object.entries(inputs)) {
    if (!input || !wants[name]) continue;
    const gradient = gradients[name];
    if (!gradient) throw new ShapeError("backward", `no gradient came for ${name}`, input.gpu.scopeName);
    into.add(input, gradient);
  }
}

/**
 * Gradient checkpointing: runs `fn` without recording its operations, keeps only its inputs, and runs it again in the
 * backward pass. Costs one more forward pass of `fn`, saves all that it would have kept.
 * `inputs`: the tensors that carry gradients into `fn`; `parameters`: watched tensors that it reads besides.
 */
export function checkpoint(inputs: Named, parameters: readonly Tensor[], fn: (inputs: Named) => Tensor): Tensor {
  const gpu = Object.values(inputs).find((tensor) => tensor !== undefined)?.gpu;
  const tape = gpu && activeTape(gpu);
  if (!gpu || !tape) return fn(inputs);
  const y = withTape(gpu, undefined, () => fn(inputs));
  const named = Object.fromEntries(parameters.filter((parameter) => tape.tracks(parameter)).map((parameter, i) => [`parameter ${i}`, parameter]));
  return differentiable(y, {
    inputs: { ...inputs, ...named },
    saved: inputs,
    backward: (dy, saved, wants) => {
      const inner = new Tape(gpu);
      const wanted = [...Object.keys(saved).filter((name) => wants[name]).map((name) => saved[name] as Tensor), ...Object.values(named)];
      inner.watch(wanted);
      const again = inner.run(() => fn(saved));
      const gradients = backward(inner, again, dy);
      const result: Record<string, Tensor | undefined> = {};
      for (const name of Object.keys(saved)) if (wants[name]) result[name] = gradients.get(saved[name] as Tensor);
      for (const [name, parameter] of Object.entries(named)) result[name] = gradients.get(parameter);
      return result;
    },
  });
}
