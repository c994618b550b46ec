import { InputError, OutOfMemoryError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { GroundSettings } from "./options.ts";
import type { GroundOptions } from "./pipeline.ts";

/** Latent positions that fill a device: beyond it a larger batch gains nothing. */
const positionsToFill = { software: 8192, hardware: 32_768 };

/** Items of one U-Net evaluation that fill the device, from the latent's positions. */
export function automaticBatch(gpu: Gpu, latentSide: number): number {
  const positions = gpu.adapter.software ? positionsToFill.software : positionsToFill.hardware;
  return Math.max(1, Math.floor(positions / latentSide ** 2));
}

/** Most items that one evaluation can take: every timestep of every map in mode gt, else every map with both branches. */
export function mostItems({ mode, steps }: Pick<GroundSettings, "mode" | "steps">, maps: number): number {
  return maps * (mode === "gt" ? Math.max(steps, 2) : 2);
}

/** What batch is wanted, and what it is for. */
export interface BatchRequest {
  wanted: "auto" | number;
  latentSide: number;
  /** Most items that one evaluation can take. */
  items: number;
}

/** Work in batches; `watch` stands in for the caller's own signal and callbacks. */
type BatchWork<R> = (batch: number, watch?: Pick<GroundOptions, "signal" | "onProgress">) => Promise<R>;

/**
 * Runs `work` with a batch size. An automatic one is halved while it needs more memory than there is; one that the
 * user asked for is an error that says what it needs and what would fit.
 */
export async function withBatch<R>(gpu: Gpu, { wanted, latentSide, items }: BatchRequest, work: BatchWork<R>): Promise<{ result: R; batch: number }> {
  let batch = Math.min(items, wanted === "auto" ? automaticBatch(gpu, latentSide) : wanted);
  for (;;) {
    try {
      return { result: await work(batch), batch };
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      gpu.trim();
      if (wanted !== "auto") throw (await tooLarge(gpu, wanted, batch, work)) ?? oneIsTooMuch(error);
      if (batch === 1) throw oneIsTooMuch(error);
      batch = Math.floor(batch / 2);
    }
  }
}

function oneIsTooMuch(error: OutOfMemoryError): InputError {
  return new InputError("--batch", `one item does not fit: ${error.message}; use --dtype f16, or a device with more memory`);
}

/** The error for a batch that does not fit, with the first half of a half … that does; undefined where none does. */
async function tooLarge(gpu: Gpu, wanted: number, batch: number, work: BatchWork<unknown>): Promise<InputError | undefined> {
  for (let smaller = Math.floor(batch / 2); smaller >= 1; smaller = Math.floor(smaller / 2)) {
    gpu.resetPeak();
    const { live, budget } = gpu.memory();
    if (await fits(smaller, work)) {
      const needed = live + ((gpu.memory().peak - live) * batch) / smaller;
      return new InputError("--batch", `${wanted} needs about ${mib(needed)} of GPU memory, and ${mib(budget)} may be used; use --batch ${smaller}, which fits, or --dtype f16`);
    }
    gpu.trim();
  }
  return undefined;
}

/** Whether there is memory for a batch: does the work as far as its first evaluation. */
async function fits(batch: number, work: BatchWork<unknown>): Promise<boolean> {
  const controller = new AbortController();
  try {
    await work(batch, { signal: controller.signal, onProgress: () => controller.abort() });
    return true;
  } catch (error) {
    if (error instanceof OutOfMemoryError) return false;
    if (controller.signal.aborted) return true;
    throw error;
  }
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
