import type { Gpu } from "../gpu/gpu.ts";
import type { OpenOptions } from "../gpu/open.ts";
import { openGpu as openUntuned } from "../gpu/open_node.ts";
import { tunedChoices } from "./tuning_file.ts";
import { findTuning } from "./tuning_node.ts";

/** Options of `openGpu` in Node. */
export interface NodeOpenOptions extends OpenOptions {
  /** Whether ops take the kernels that `attnscope tune` found to be fastest on this adapter. Default true. */
  tuning?: boolean;
}

/**
 * Opens the first adapter that Dawn finds, or wraps the caller's device. On a device that computes on the CPU the
 * memory budget defaults to four fifths of the machine's memory, and whoever waits for it leaves it the cores.
 * @throws NoAdapterError; InputError where the file that `attnscope tune` wrote was edited and cannot be read
 */
export async function openGpu({ tuning = true, ...options }: NodeOpenOptions = {}): Promise<Gpu> {
  const gpu = await openUntuned(options);
  if (!tuning) return gpu;
  try {
    const found = await findTuning(gpu.adapter);
    gpu.variantChoices = found.tuning && tunedChoices(found.tuning);
    return gpu;
  } catch (error) {
    gpu.close();
    throw error;
  }
}
