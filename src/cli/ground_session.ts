import { join } from "node:path";
import { InputError, OutOfMemoryError } from "../errors.ts";
import type { GroundingPipeline } from "../grounding/pipeline.ts";
import { type SyntheticFilms, readSyntheticFilms } from "../models/model_card.ts";
import { loadPipeline } from "../node.ts";
import { nodePlatform } from "../platform_node.ts";
import { DiskVectorStore } from "../vector_store_node.ts";
import { formatBytes } from "../weights/inspect.ts";
import { cacheFolder } from "../cache_folder_node.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import { log } from "./command.ts";
import type { RunOptions } from "./ground_options.ts";
import { shippedModel, version } from "./package.ts";
import { createProgress } from "./progress.ts";

const MIB = 2 ** 20;

/** A model on the device. */
export interface Session {
  pipeline: GroundingPipeline;
  /** Films that the model was trained on, where they were synthetic. */
  synthetic?: SyntheticFilms;
  close(): void;
}

/** Opens the device and loads the model. @throws InputError, WeightsError, DeviceError */
export async function openSession(options: RunOptions, signal: AbortSignal): Promise<Session> {
  const model = options.model ?? shippedModel;
  const synthetic = await readSyntheticFilms(nodePlatform.openFolder(model));
  const gpu = await openGpu({ memoryBudget: options.memoryBudget && options.memoryBudget * MIB });
  const loading = loadingProgress();
  try {
    const pipeline = await loadPipeline(gpu, model, {
      dtype: options.dtype,
      ema: options.ema,
      textEncoder: options.textEncoder,
      store: options.cache ? openBiasStore() : undefined,
      onProgress: loading.update,
      signal,
    });
    return { pipeline, synthetic, close: () => gpu.close() };
  } catch (error) {
    gpu.close();
    throw error;
  } finally {
    loading.stop();
  }
}

/**
 * Does work of a session; where it needs more memory than it may take, the error says what to do.
 * @throws InputError where the limit is the user's own, else OutOfMemoryError
 */
export async function withMemoryAdvice<T>({ memoryBudget, dtype }: RunOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OutOfMemoryError) || memoryBudget === undefined) throw error;
    const smaller = dtype === "f16" ? "" : ", or use --dtype f16";
    throw new InputError("--memory-budget", `${memoryBudget} MiB do not hold the model and one film: ${error.message}; allow more${smaller}`, { cause: error });
  }
}

function openBiasStore(): DiskVectorStore {
  return new DiskVectorStore(join(cacheFolder(), "text-bias"), {
    version,
    onUnwritable: (reason) => log(`note: text biases are not kept: ${reason}`),
  });
}

/** A bar for each part of the model. */
function loadingProgress() {
  let progress = createProgress();
  let present: string | undefined;
  return {
    update(part: string, bytes: number, total: number) {
      if (part !== present) {
        progress.stop();
        progress = createProgress();
        present = part;
      }
      progress.update(`loading ${part}, ${formatBytes(bytes)} of ${formatBytes(total)}`, bytes, total);
    },
    stop: () => progress.stop(),
  };
}
