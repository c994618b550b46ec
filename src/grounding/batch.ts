import { InputError, OutOfMemoryError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";

/** Latent positions that fill a device: beyond it a larger batch gains nothing. */
const positionsToFill = { software: 8192, hardware: 32_768 };

/** Items of one U-Net evaluation that fill the device, from the latent's positions. */
export function automaticBatch(gpu: Gpu, latentSide: number): number {
  const positions = gpu.adapter.software ? positionsToFill.software : positionsToFill.hardware;
  return Math.max(1, Math.floor(positions / latentSide ** 2));
}

/**
 * Runs `work` with a batch size. An automatic one is halved while it needs more memory than there is; one that the
 * user asked for is an error that says what would fit.
 */
export async function withBatch<R>(gpu: Gpu, wanted: "auto" | number, latentSide: number, work: (batch: number) => Promise<R>): Promise<{ result: R; batch: number }> {
  let batch = wanted === "auto" ? automaticBatch(gpu, latentSide) : wanted;
  for (;;) {
    const live = gpu.memory().live;
    try {
      return { result: await work(batch), batch };
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      const { peak, budget } = gpu.memory();
      gpu.trim();
      const perItem = Math.max(1, (peak - live) / batch);
      const fits = Math.floor((budget - live) / perItem);
      if (batch === 1) throw new InputError("--batch", `one item does not fit: ${error.message}; use --dtype f16, or a device with more memory`);
      if (wanted !== "auto") throw new InputError("--batch", `${batch} needs more memory than there is: ${error.message}; use --batch ${Math.max(1, Math.min(fits, batch - 1))} or less, or --dtype f16`);
      batch = Math.max(1, Math.floor(batch / 2));
    }
  }
}
