import type { Gpu } from "../gpu/gpu.ts";
import type { Float } from "../ops/check.ts";
import { openModelFolder } from "../training/model_folder_node.ts";
import { Optimisation } from "../training/optimisation.ts";
import { completeRecipe } from "../training/recipe.ts";
import { createTrainedPart, freeTrainedPart } from "../training/trained_part.ts";
import { type LatentDataset, unetTask } from "../training/unet_training.ts";
import type { Workload } from "./run.ts";

/** Options of `trainingWork`. */
export interface TrainingWorkOptions {
  /** Folder of a model in the diffusers layout. */
  model: string;
  /** Optimiser steps. */
  steps: number;
  batch: number;
  dtype: Float;
  /** Whether every run records its steps anew, and so takes the kernels that are chosen then. */
  recordEveryRun?: boolean;
  signal?: AbortSignal;
}

/** Steps of the U-Net's training by the published recipe, one batch each, on made-up latents and texts. */
export async function trainingWork(gpu: Gpu, { model, steps, batch, dtype, recordEveryRun, signal }: TrainingWorkOptions): Promise<Workload> {
  const folder = openModelFolder(model);
  const [unet, vae, schedule, { textEncoder, tokenizer }] = [await folder.unet(), await folder.vae(), await folder.schedule(), await folder.textEncoder()];
  const side = vae.config.sampleSize / vae.factor;
  const recipe = completeRecipe({ batchSize: batch, accumulationSteps: 1, dtype, predictionType: schedule.predictionType === "v_prediction" ? "v_prediction" : "epsilon" });
  const data = madeUpDataset([side, side, unet.config.inChannels], [tokenizer.length, textEncoder.width]);
  const weights = await folder.weights("unet");
  const place = { folder: "unet", weightsFile: "diffusion_pytorch_model.safetensors", keyPrefix: "" } as const;
  const part = await createTrainedPart(gpu, unet, place, { weights }, { dtype, ema: true }).finally(() => weights.close());
  const task = unetTask(gpu, recipe, { unet, schedule, scalingFactor: vae.config.scalingFactor, data });
  let optimisation: Optimisation | undefined;
  return {
    what: "train",
    title: `${steps} training steps of the U-Net on ${batch} latents of ${side} x ${side}`,
    model,
    settings: { steps, batch, dtype },
    async run() {
      if (recordEveryRun) {
        optimisation?.free();
        optimisation = undefined;
      }
      optimisation ??= new Optimisation(gpu, recipe, [part], task.loss);
      for (let step = 0; step < steps; step++) {
        signal?.throwIfAborted();
        await task.fillBatch({ step, part: 0 });
        optimisation.accumulate(0);
        await optimisation.update(step);
      }
    },
    free() {
      optimisation?.free();
      task.free();
      freeTrainedPart(part);
    },
  };
}

/** Latents and texts of smooth values: what a step takes does not depend on them. */
function madeUpDataset(latentShape: LatentDataset["latentShape"], textShape: LatentDataset["textShape"]): LatentDataset {
  return {
    count: 1024,
    latentShape,
    textShape,
    texts: () => ["a text"],
    async readMoments(sample, { mean, logvar }) {
      mean.set(mean.map((_, i) => Math.sin(0.7 * i + sample)));
      logvar.fill(-5);
    },
    async readText(sample, _text, into) {
      into.set(into.map((_, i) => Math.cos(1.3 * i + sample)));
    },
  };
}
