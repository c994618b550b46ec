import { ShapeError, UnsupportedError } from "../errors.ts";
import type { Dtype } from "../tensor.ts";
import type { Command, ParamsPages, ParamsSlot } from "./commands.ts";
import { type AnyKernel, type BindingSource, type Dispatch, foldGrid, packParams } from "./kernel.ts";
import type { PipelineCache } from "./pipelines.ts";
import { bufferUsage } from "./usage.ts";

export type AnyDispatch = Dispatch<string, object, string, object>;

/** A command but for its bind group: the buffers of its tensors may still be to be chosen. */
export interface Draft {
  readonly command: Omit<Command, "bindGroup">;
  readonly sources: readonly { readonly index: number; readonly source: BindingSource }[];
  readonly slot: ParamsSlot | undefined;
}

/** Turns dispatches into drafts of commands: compiles, checks the bindings and packs the params. */
export class Drafter {
  readonly #device: GPUDevice;
  readonly #pipelines: PipelineCache;
  readonly #maxBindingBytes: number;
  readonly #unusedBindings: BindingSource["buffer"][] = [];

  constructor(device: GPUDevice, pipelines: PipelineCache, maxBindingBytes: number) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#maxBindingBytes = maxBindingBytes;
  }

  /** Throws ShapeError for a binding of another type than the kernel takes, UnsupportedError for one that is too large. */
  draft(kernel: AnyKernel, dispatch: AnyDispatch, params: ParamsPages, scope: string): Draft {
    const compiled = this.#pipelines.get(kernel, dispatch.prelude, dispatch.overrides ?? {});
    const prelude = dispatch.prelude as Record<string, string | number>;
    const sources = kernel.bindings.map(({ name, index, access, element }) => {
      const wanted = (prelude[element] ?? element) as Dtype;
      const source = dispatch.bindings[name] ?? this.#unused(access === "read" ? 0 : index, wanted);
      if (source.dtype !== wanted) throw new ShapeError(kernel.name, `binding ${name} takes ${wanted}, got ${source.dtype}`, scope);
      if (source.byteLength > this.#maxBindingBytes) throw tooLarge(`${kernel.name} (${scope})`, source.byteLength, this.#maxBindingBytes);
      return { index, source };
    });
    const slot = kernel.paramsBytes > 0 ? params.reserve() : undefined;
    if (slot) packParams(kernel, dispatch.params, slot.view, 0);
    const types = [...kernel.aliases, ...kernel.consts].map((name) => `${name}=${prelude[name]}`);
    const constants = Object.entries(dispatch.overrides ?? {}).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`);
    const command = {
      compiled,
      offsets: slot ? [slot.offset] : [],
      grid: foldGrid(dispatch.grid, this.#device.limits.maxComputeWorkgroupsPerDimension),
      scope,
      kernel: kernel.name,
      variant: [...types, ...constants].join(" "),
      flops: dispatch.flops ?? 0,
      bytes: dispatch.bytes ?? 0,
      choice: dispatch.choice,
    };
    return { command, sources, slot };
  }

  /** A small buffer for bindings that an override switches off: one for all that are read, one each for those that are written. */
  #unused(index: number, dtype: Dtype): BindingSource {
    this.#unusedBindings[index] ??= { id: -1 - index, gpuBuffer: this.#device.createBuffer({ size: 256, usage: bufferUsage.storage, label: "unused binding" }) };
    return { dtype, buffer: this.#unusedBindings[index], byteOffset: 0, byteLength: 256 };
  }

  destroy(): void {
    for (const unused of this.#unusedBindings) unused?.gpuBuffer.destroy();
  }
}

function tooLarge(where: string, bytes: number, limit: number): UnsupportedError {
  return new UnsupportedError(where, `${bytes} bytes in one binding`, `${limit}`, "use a smaller batch, or f16 weights and activations (--dtype f16)");
}
