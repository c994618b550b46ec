import type { LatentDiffusion } from "../models/ldm.ts";
import { captureLayers } from "./map_sink.ts";

/** Work of a grounding. */
export interface Cost {
  /** U-Net evaluations of single items. */
  unetEvaluations: number;
  /** Floating-point operations, as the ops count them. */
  flops: number;
  /** Bytes copied from the device to the host. */
  bytesReadBack: number;
}

/**
 * What the published procedure takes for the same requests: in both passes the conditional and the unconditional branch
 * at every timestep, each a whole evaluation of the U-Net, and a copy of every P, upsampled, to the host.
 */
export function publishedCost(ldm: LatentDiffusion, run: { requests: number; steps: number; side: number }): Cost {
  const { requests, steps, side } = run;
  const unetEvaluations = requests * 2 * 2 * steps;
  const layers = captureLayers(ldm.unet, side, "all").length;
  const bytesReadBack = requests * 2 * steps * layers * ldm.tokenizer.length * side * side * 4;
  return { unetEvaluations, flops: unetEvaluations * evaluationFlops(ldm, side), bytesReadBack };
}

/** Floating-point operations of one whole evaluation of the U-Net on one latent, the text's projections included. */
function evaluationFlops({ gpu, unet, textEncoder, tokenizer, dtype }: LatentDiffusion, side: number): number {
  const { inChannels } = unet.config;
  return gpu.plan(() => {
    const text = gpu.empty([1, tokenizer.length, textEncoder.width], dtype);
    unet.forward(gpu.empty([1, side, side, inChannels], dtype), gpu.empty([1]), { keyValues: unet.projectText(text) });
  }).flops;
}
