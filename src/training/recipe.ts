import type { PredictionType } from "../diffusion/schedule.ts";
import { InputError } from "../errors.ts";
import type { Float } from "../ops/check.ts";
import type { Betas } from "../ops/optim.ts";

/** How a model is trained. Names as in diffusers and PyTorch; what the paper says of each stands at `publishedRecipe`. */
export interface Recipe {
  /** Optimiser steps in all: where the cosine ends. */
  maxSteps: number;
  /** Samples of one forward and backward pass. */
  batchSize: number;
  /** Batches whose gradients are added up for one optimiser step. */
  accumulationSteps: number;

  /** AdamW's at the end of the warm-up; above 0. */
  learningRate: number;
  /** After the warm-up: half a cosine down to `finalRate` at `maxSteps`, or `learningRate` all along. */
  schedule: "cosine" | "constant";
  /** Steps over which the rate rises from 0. */
  warmupSteps: number;
  /** Share of the rate that the cosine ends at. */
  finalRate: number;

  /** AdamW's, each from 0 to below 1. */
  betas: Betas;
  /** AdamW's, above 0. */
  eps: number;
  /** AdamW's, decoupled: a step takes rate times this of every weight off it; 0: none. */
  weightDecay: number;
  /** Greatest global norm of the gradients; 0: no clipping. */
  maxNorm: number;

  /** What the U-Net learns to predict; a sampler's `prediction_type` must be the same. */
  predictionType: Exclude<PredictionType, "sample">;
  /** Min-SNR weighting's gamma (Hang et al. 2023); 0: all timesteps weigh the same. */
  minSnrGamma: number;
  /** Standard deviation of a shift of each channel's noise; 0: none. */
  noiseOffset: number;
  /** Timesteps are drawn uniformly, or as Beta(a, b) times the schedule's number of training timesteps. */
  timesteps: "uniform" | readonly [a: number, b: number];
  /** How often a text is replaced by the empty one, which guidance needs. */
  textDrop: number;

  /** Largest decay of the weights' moving average (diffusers' EMAModel); 0: no average is kept. */
  emaDecay: number;

  /** Storage of activations and of the weights that the passes read; master weights and sums are f32. */
  dtype: Float;
  /** Factor of the loss in the first step with f16 (torch.amp.GradScaler). */
  lossScale: number;
  /** Factor of the loss scale after `scaleInterval` steps without overflow; 1 or more. */
  scaleGrowth: number;
  /** Factor of the loss scale after a step that overflows; above 0, at most 1. */
  scaleBackoff: number;
  /** Steps without overflow after which the scale grows. */
  scaleInterval: number;

  /** Everything random follows from it: order, noise, timesteps, dropped texts. */
  seed: number;
  /** Train the text encoder too (the paper's Table 4). */
  trainTextEncoder: boolean;
  /** Rank of low-rank factors on the attention projections, which are then all that is trained; 0: none. */
  loraRank: number;
  /** Their factor is alpha / rank; 0: alpha is the rank. */
  loraAlpha: number;
  /** Compute the activations of a block again in the backward pass instead of keeping them. */
  gradientCheckpointing: boolean;
}

/** The paper's recipe: a global batch of 256, there 16 samples on 8 devices twice, here 16 samples 16 times on one. */
export const publishedRecipe: Readonly<Recipe> = {
  maxSteps: 30_001,
  batchSize: 16,
  accumulationSteps: 16,
  learningRate: 5e-5,
  schedule: "cosine",
  warmupSteps: 1000,
  finalRate: 0,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 1e-2,
  maxNorm: 1,
  predictionType: "epsilon",
  minSnrGamma: 0,
  noiseOffset: 0,
  timesteps: "uniform",
  textDrop: 0.3,
  emaDecay: 0.9999,
  dtype: "f16",
  lossScale: 65_536,
  scaleGrowth: 2,
  scaleBackoff: 0.5,
  scaleInterval: 2000,
  seed: 4200,
  trainTextEncoder: false,
  loraRank: 0,
  loraAlpha: 0,
  gradientCheckpointing: false,
};

/** The seeds of the paper's three runs. */
export const publishedSeeds = [4200, 1759, 6357] as const;

/** Samples of one optimiser step. */
export function globalBatch(recipe: Pick<Recipe, "batchSize" | "accumulationSteps">): number {
  return recipe.batchSize * recipe.accumulationSteps;
}

/** `given` with the rest from `defaults`. Throws InputError naming the first option that is out of its range. */
export function completeRecipe(given: Partial<Recipe> = {}, defaults: Readonly<Recipe> = publishedRecipe): Recipe {
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  const recipe: Recipe = { ...defaults, ...Object.fromEntries(present) };
  for (const [name, [fits, range]] of Object.entries(ranges) as [keyof Recipe, Range][]) {
    if (!fits(recipe[name] as never)) throw new InputError(name, `${JSON.stringify(recipe[name]) ?? "nothing"} is not ${range}`);
  }
  if (recipe.loraRank > 0 && recipe.trainTextEncoder) throw new InputError("trainTextEncoder", "does not go with loraRank, which trains the U-Net's factors alone; choose one");
  return recipe;
}

/** What a value must be, and that in words. */
type Range<T = never> = readonly [fits: (value: T) => boolean, words: string];

const finite = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Range<number> => [
  (value) => Number.isSafeInteger(value) && value >= least && value <= most,
  `a whole number of ${least} or more${most < Number.MAX_SAFE_INTEGER ? `, at most ${most}` : ""}`,
];
const from = (least: number): Range<number> => [(value) => finite(value) && value >= least, `a number of ${least} or more`];
const above = (bound: number): Range<number> => [(value) => finite(value) && value > bound, `a number above ${bound}`];
const share: Range<number> = [(value) => finite(value) && value >= 0 && value <= 1, "a number from 0 to 1"];
const shareBelowOne: Range<number> = [(value) => finite(value) && value >= 0 && value < 1, "a number from 0 to 1, below 1"];
const flag: Range<boolean> = [(value) => typeof value === "boolean", "true or false"];
const oneOf = <T extends string>(...names: T[]): Range<T> => [(value) => names.includes(value), names.join(" or ")];
const pair = ([fits, words]: Range<number>): Range<readonly number[]> => [(value) => Array.isArray(value) && value.length === 2 && value.every(fits), `two of ${words}`];

const ranges: { readonly [name in keyof Recipe]: Range<Recipe[name]> } = {
  maxSteps: whole(1),
  batchSize: whole(1),
  accumulationSteps: whole(1),
  learningRate: above(0),
  schedule: oneOf("cosine", "constant"),
  warmupSteps: whole(0),
  finalRate: share,
  betas: pair(shareBelowOne) as Range<Betas>,
  eps: above(0),
  weightDecay: from(0),
  maxNorm: from(0),
  predictionType: oneOf("epsilon", "v_prediction"),
  minSnrGamma: from(0),
  noiseOffset: from(0),
  timesteps: [(value) => value === "uniform" || pair(above(0))[0](value), "uniform or two numbers above 0, those of a Beta distribution"],
  textDrop: share,
  emaDecay: shareBelowOne,
  dtype: oneOf("f32", "f16"),
  lossScale: above(0),
  scaleGrowth: from(1),
  scaleBackoff: [(value) => finite(value) && value > 0 && value <= 1, "a number above 0, at most 1"],
  scaleInterval: whole(1),
  seed: whole(0),
  trainTextEncoder: flag,
  loraRank: whole(0, 1024),
  loraAlpha: from(0),
  gradientCheckpointing: flag,
};
