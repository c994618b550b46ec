import type { Film } from "../data/film.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { automaticBatch } from "../grounding/batch.ts";
import { GroundingPipeline } from "../grounding/pipeline.ts";
import { loadLatentDiffusion } from "../models/ldm.ts";
import type { Float } from "../ops/check.ts";
import { nodePlatform } from "../platform_node.ts";
import { trainingWork } from "../profile/train_workload_node.ts";
import type { MeasuredWork } from "./measure.ts";

/** Options of `openTuningWork`. */
export interface TuningWorkOptions {
  /** Folder or URL of a model in the diffusers layout. */
  model: string;
  film: Film;
  phrase: string;
  dtype: Float;
  /** Whether a training step follows. */
  train?: boolean;
  signal?: AbortSignal;
}

/**
 * What kernels are tuned for: the phrase and the film encoded, one batch of the U-Net as large as grounding takes it, with
 * capture, and a training step where that is wanted. Recorded anew each time, since recorded steps keep their kernels.
 */
export async function openTuningWork(gpu: Gpu, { model, film, phrase, dtype, train, signal }: TuningWorkOptions): Promise<{ run: MeasuredWork; free(): void }> {
  const ldm = await loadLatentDiffusion(gpu, nodePlatform, nodePlatform.openFolder(model), { dtype, signal });
  const training = train ? await trainingWork(gpu, { model, steps: 1, batch: 1, dtype, recordEveryRun: true, signal }) : undefined;
  const steps = automaticBatch(gpu, ldm.vae.config.sampleSize / ldm.vae.factor);
  return {
    async run(choices) {
      gpu.variantChoices = choices;
      const { rows } = await gpu.profile(async () => {
        await new GroundingPipeline(ldm).ground(film, phrase, { steps, lastSteps: steps, batch: "auto", merge: "none", signal });
        await training?.run();
      });
      return rows;
    },
    free: () => [training, ldm].forEach((thing) => thing?.free()),
  };
}
