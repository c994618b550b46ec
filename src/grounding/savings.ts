import type { LatentDiffusion } from "../models/ldm.ts";
import { captureLayers } from "./map_sink.ts";

/** Work of a grounding. */
export interface Cost {
  /** U-Net evaluations of single items. */
  unetEvaluations: number;
  flops: number;
  bytesReadBack: number;
}

/**
 * What the published procedure takes for the same requests: in both passes the conditional and the unconditional branch at every
 * timestep, and a copy of every P, upsampled, to the host. Its operations are a lower bound: its evaluations are
 * counted at the cost of ours, which end with the last captured layer.
 */
export function publishedCost(ldm: LatentDiffusion, run: { requests: number; steps: number; side: number; flopsPerEvaluation: number }): Cost {
  const { requests, steps, side, flopsPerEvaluation } = run;
  const unetEvaluations = requests * 2 * 2 * steps;
  const layers = captureLayers(ldm.unet, side, "all").length;
  const bytesReadBack = requests * 2 * steps * layers * ldm.tokenizer.length * side * side * 4;
  return { unetEvaluations, flops: unetEvaluations * flopsPerEvaluation, bytesReadBack };
}
