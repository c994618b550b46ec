import type { Gpu } from "../gpu/gpu.ts";
import { type PlannedDevice, openPlanner } from "../gpu/planner.ts";
import { allocateModel } from "../models/load.ts";
import type { Model } from "../models/parameters.ts";
import type { TextEncoderModel } from "../models/text_encoder.ts";
import type { UNet2DConditionModel } from "../models/unet.ts";
import type { AutoencoderKL } from "../models/vae.ts";
import type { Float } from "../ops/check.ts";

/** The models of a folder, without their weights. */
export interface PlannedModels {
  textEncoder: TextEncoderModel;
  vae: AutoencoderKL;
  unet: UNet2DConditionModel;
  /** Positions of a text. */
  tokens: number;
}

/** One pass of a model, inputs included. */
export interface ModelPass {
  name: string;
  model: Model;
  dtype: Float;
  batch: number;
  run(gpu: Gpu): void;
}

/** What a pass takes of a device's memory, in bytes. */
export interface PassMemory extends Pick<ModelPass, "name" | "dtype" | "batch"> {
  weightBytes: number;
  /** Beside the weights: most that is live at a time while it runs. */
  peakBytes: number;
  /** These by scope. */
  byScope: Record<string, number>;
  /** Beside the weights: what it holds when it is recorded as a step. */
  stepBytes: number;
  largestBinding: { bytes: number; kernel: string; scope: string };
}

/** The passes of a grounding: text encoder and VAE as they run, in f32 and one item at a time; the U-Net in both types. */
export function groundingPasses(models: PlannedModels, batches: readonly number[]): ModelPass[] {
  const { textEncoder, vae, unet } = models;
  const { sampleSize, inChannels, latentChannels } = vae.config;
  const one = { dtype: "f32", batch: 1 } as const;
  const side = sampleSize / vae.factor;
  return [
    { name: "text encoder", model: textEncoder.model, ...one, run: (gpu) => encodeText(gpu, models) },
    { name: "VAE encode", model: vae, ...one, run: (gpu) => void vae.encode(gpu.empty([1, sampleSize, sampleSize, inChannels])) },
    { name: "VAE decode", model: vae, ...one, run: (gpu) => void vae.decode(gpu.empty([1, side, side, latentChannels])) },
    ...(["f32", "f16"] as const).flatMap((dtype) => batches.map((batch) => ({ name: "U-Net", model: unet, dtype, batch, run: (gpu: Gpu) => predictNoise(gpu, models, dtype, batch) }))),
  ];
}

function encodeText(gpu: Gpu, { textEncoder, tokens }: PlannedModels): void {
  const [ids, mask] = [gpu.empty([1, tokens], "u32"), gpu.empty([1, tokens], "u32")];
  textEncoder.forward(ids, { mask, dtype: "f32" });
}

function predictNoise(gpu: Gpu, { textEncoder, unet, vae, tokens }: PlannedModels, dtype: Float, batch: number): void {
  const { inChannels } = unet.config;
  const side = vae.config.sampleSize / vae.factor;
  const keyValues = unet.projectText(gpu.empty([1, tokens, textEncoder.width], dtype));
  unet.forward(gpu.empty([batch, side, side, inChannels], dtype), gpu.empty([batch]), { keyValues });
}

/** Plans passes for a device that need not be there. Throws WeightsError for a weight that none of its bindings can hold. */
export function planMemory(passes: readonly ModelPass[], device?: PlannedDevice): PassMemory[] {
  const gpu = openPlanner(device);
  return passes.map(({ name, model, dtype, batch, run }) => {
    const plan = gpu.plan(() => {
      allocateModel(gpu, model, dtype);
      run(gpu);
    });
    const { weights, ...byScope } = plan.byScope;
    return { name, dtype, batch, weightBytes: weights, peakBytes: plan.peakBytes - weights, byScope, stepBytes: plan.stepBytes - weights, largestBinding: plan.largestBinding };
  });
}
