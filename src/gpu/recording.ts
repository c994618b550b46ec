import type { Tensor } from "../tensor.ts";
import type { BufferPool } from "./buffers.ts";
import { BindGroupCache, type Command, ParamsPages } from "./commands.ts";
import type { AnyDispatch, Draft } from "./drafts.ts";
import type { Plan } from "./step.ts";
import { StepArena } from "./step_arena.ts";

/** A step in the making: what it will run, and on which tensors. */
export class Recording {
  readonly arena = new StepArena();
  readonly drafts: Draft[] = [];
  readonly params: ParamsPages;
  readonly #device: GPUDevice;
  readonly #pool: BufferPool;

  constructor(device: GPUDevice, pool: BufferPool) {
    this.#device = device;
    this.#pool = pool;
    this.params = new ParamsPages(device);
  }

  /** Chooses the buffers of all tensors and gives the commands on them. */
  finish(): Command[] {
    this.arena.place(this.#pool);
    this.params.upload();
    // A step's bind groups name its own params: they end with it.
    const bindGroups = new BindGroupCache(this.#device);
    return this.drafts.splice(0).map((draft) => bindGroups.bind(draft));
  }

  free(): void {
    this.arena.close(this.#pool);
    this.params.destroy();
  }
}

/** Counts what would run, and on which tensors. */
export class Planning {
  readonly arena = new StepArena();
  readonly constants = new Map<string, Tensor>();
  #dispatches = 0;
  #flops = 0;
  #largestBinding: Plan["largestBinding"] = { bytes: 0, kernel: "", scope: "" };

  add(kernel: string, { bindings, flops = 0 }: AnyDispatch, scope: string): void {
    this.#dispatches++;
    this.#flops += flops;
    for (const source of Object.values(bindings)) {
      if (source && source.byteLength > this.#largestBinding.bytes) this.#largestBinding = { bytes: source.byteLength, kernel, scope };
    }
  }

  finish(): Plan {
    return { dispatches: this.#dispatches, flops: this.#flops, ...this.arena.count(), largestBinding: this.#largestBinding };
  }
}
