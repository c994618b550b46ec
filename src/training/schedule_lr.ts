import type { Recipe } from "./recipe.ts";

/**
 * Learning rate of optimiser step `step`, counted from 0: a linear rise from 0 over the warm-up, then constant, or a
 * half cosine down to `finalRate` at `maxSteps` (transformers' get_cosine_schedule_with_warmup).
 */
export function learningRateAt(recipe: Recipe, step: number): number {
  const { learningRate, schedule, warmupSteps, maxSteps, finalRate } = recipe;
  if (step < warmupSteps) return (learningRate * step) / warmupSteps;
  if (schedule === "constant") return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, maxSteps - warmupSteps));
  return learningRate * (finalRate + (1 - finalRate) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
