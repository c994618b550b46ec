import { Tensor } from "../tensor.ts";

interface Scope {
  readonly path: string;
  readonly tensors: Set<Tensor>;
}

/** Nested scopes: a path for labels, and the tensors that each frees at its end. */
export class ScopeStack {
  readonly #stack: Scope[] = [];

  get path(): string {
    return this.#stack.at(-1)?.path ?? "";
  }

  track(tensor: Tensor): void {
    this.#stack.at(-1)?.tensors.add(tensor);
  }

  untrack(tensor: Tensor): void {
    for (const scope of this.#stack) scope.tensors.delete(tensor);
  }

  /** Runs `fn` in a scope. Returned tensors are kept: handed to the outer scope, or (`escape` false) to the caller. */
  run<R>(name: string, fn: () => R, options: { escape: boolean }): R {
    const scope: Scope = { path: [this.path, name].filter(Boolean).join("/"), tensors: new Set() };
    this.#stack.push(scope);
    let kept: Set<Tensor> = new Set();
    try {
      const result = fn();
      if (result instanceof Promise) throw new TypeError(`scope ${scope.path}: the function must not be asynchronous`);
      kept = keptTensors(result);
      return result;
    } finally {
      this.#stack.pop();
      for (const tensor of scope.tensors) {
        if (!kept.has(tensor)) tensor.free();
        else if (options.escape) this.track(tensor);
      }
    }
  }
}

/** The tensors in a value: itself, or members of arrays, maps and plain objects, however deep. */
export function keptTensors(value: unknown, into = new Set<Tensor>()): Set<Tensor> {
  if (value instanceof Tensor) into.add(value);
  else if (Array.isArray(value)) for (const item of value) keptTensors(item, into);
  else if (value instanceof Map) for (const item of value.values()) keptTensors(item, into);
  else if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) keptTensors(item, into);
  }
  return into;
}
