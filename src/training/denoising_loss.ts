import type { Schedule } from "../diffusion/schedule.ts";
import type { UNet2DConditionModel } from "../models/unet.ts";
import { addNoise } from "../ops/diffusion.ts";
import { full } from "../ops/fill.ts";
import { mseLoss } from "../ops/loss.ts";
import { cast } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import type { Recipe } from "./recipe.ts";

/** Numbers of a batch's timesteps, each f32 [B]. */
export interface TimestepTensors {
  /** t of each sample, whole numbers from 0 on. */
  timesteps: Tensor;
  /** sqrt(ᾱ_t) */
  sqrtAlpha: Tensor;
  /** sqrt(1 - ᾱ_t) */
  sqrtOneMinusAlpha: Tensor;
  /** -sqrt(1 - ᾱ_t), for the velocity. */
  minusSqrtOneMinusAlpha: Tensor;
  /** Min-SNR weights of the samples. */
  weights: Tensor;
}

/** The values of `TimestepTensors` for the timesteps of a batch. */
export function timestepValues(schedule: Schedule, recipe: Pick<Recipe, "predictionType" | "minSnrGamma">, timesteps: readonly number[]): Record<keyof TimestepTensors, Float32Array> {
  const coefficients = timesteps.map((timestep) => schedule.noiseCoefficients(timestep));
  return {
    timesteps: Float32Array.from(timesteps),
    sqrtAlpha: Float32Array.from(coefficients, ({ sqrtAlpha }) => sqrtAlpha),
    sqrtOneMinusAlpha: Float32Array.from(coefficients, ({ sqrtOneMinusAlpha }) => sqrtOneMinusAlpha),
    minusSqrtOneMinusAlpha: Float32Array.from(coefficients, ({ sqrtOneMinusAlpha }) => -sqrtOneMinusAlpha),
    weights: Float32Array.from(coefficients, ({ sqrtAlpha, sqrtOneMinusAlpha }) => snrWeight(recipe, (sqrtAlpha / sqrtOneMinusAlpha) ** 2)),
  };
}

/** Min-SNR weight of a signal-to-noise ratio (Hang et al. 2023): min(snr, gamma) over snr, or over snr + 1 for velocities. */
function snrWeight({ predictionType, minSnrGamma }: Pick<Recipe, "predictionType" | "minSnrGamma">, snr: number): number {
  if (minSnrGamma === 0) return 1;
  return Math.min(snr, minSnrGamma) / (predictionType === "epsilon" ? snr : snr + 1);
}

/**
 * Weighted mean squared error between what the U-Net says of noised latents and their noise, or their velocity:
 * f32 [1]. z (scaled, without noise), noise f32 [B, h, w, C], text [B, N, width]. Keys and values are projected here, since
 * they are trained.
 */
export function denoisingLoss(unet: UNet2DConditionModel, { z, noise, text }: { z: Tensor; noise: Tensor; text: Tensor }, at: TimestepTensors, recipe: Recipe): Tensor {
  const { dtype, gradientCheckpointing, predictionType } = recipe;
  const noised = addNoise(z, noise, at);
  const velocity = () => addNoise(noise, z, { sqrtAlpha: at.sqrtAlpha, sqrtOneMinusAlpha: at.minusSqrtOneMinusAlpha });
  const target = predictionType === "epsilon" ? noise : velocity();
  const keyValues = unet.projectText(cast(text, dtype));
  const prediction = unet.forward(cast(noised, dtype), at.timesteps, { keyValues }, { gradientCheckpointing }) as Tensor;
  return mseLoss(prediction, target, recipe.minSnrGamma > 0 ? { weights: at.weights } : {});
}

/**
 * noise [B, h, w, C] shifted by `offset` times `shifts` [B, C], the same at every position of a channel.
 * `itemOf` u32 [B * h * w]: the item of each position.
 */
export function offsetNoise(noise: Tensor, shifts: Tensor, itemOf: Tensor, offset: number): Tensor {
  const { gpu, shape } = noise;
  const positions = itemOf.size;
  const coefficients = { sqrtAlpha: full(gpu, [positions], offset), sqrtOneMinusAlpha: full(gpu, [positions], 1) };
  return addNoise(shifts, noise.reshape(positions, -1), { ...coefficients, itemOf }).reshape(...shape);
}
