import { Schedule } from "../diffusion/schedule.ts";
import type { Config } from "../config.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { UNet2DConditionModel } from "../models/unet.ts";
import { toChannelsLast } from "../ops/pointwise.ts";
import { sizeOf } from "../tensor.ts";
import { pytorchOrder } from "../training/checkpoint.ts";
import { type TimestepTensors, denoisingLoss, timestepValues } from "../training/denoising_loss.ts";
import { Optimisation, type StepResult } from "../training/optimisation.ts";
import { type Recipe, completeRecipe } from "../training/recipe.ts";
import { type ParameterSet, type TrainedPart, createTrainedPart, freeTrainedPart } from "../training/trained_part.ts";
import { readJson } from "../weights/byte_source.ts";
import { findWeights, openCheckpoint } from "../weights/open_checkpoint.ts";
import { formulaBound, gradientBound, lossBound, weightBound, weightSumBound } from "./bounds.ts";
import { type Golden, type VerifyContext, companion } from "./context.ts";
import { type GoldenFile, readGoldenFile } from "./golden_file.ts";
import { type Part, relativePart } from "./parts.ts";
import { buildUNet, microFolder } from "./unet.ts";

/** What the reference says of one variant of the recipe. */
export interface Variant {
  readonly log: readonly { losses: number[]; grad_norm: number; lr: number; ema_decay: number }[];
  /** Sums of all squared weights, and of their moving averages. */
  readonly param_sum_sq: number;
  readonly ema_sum_sq: number;
}

/** Optimiser steps of micro_unet on given latents, noises, timesteps and contexts, in every variant of the recipe. */
export const trainGolden: Golden = {
  name: "train",
  paths: ["train.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    const names = new Set([...golden.tensors.keys()].flatMap((name) => /^(\w+)\.(?:param|ema)\./.exec(name)?.[1] ?? []));
    const parts: Part[] = [];
    for (const name of names) {
      const variant = golden.fact<Variant>(name);
      const steps = variant.log.length;
      const ofVariant = await withTraining(context, golden, goldenRecipe(golden, name), steps, (training) => variantParts(golden, name, variant, training));
      parts.push(...ofVariant);
    }
    return parts;
  },
};

/** What steps of training came to. */
export interface GoldenTraining {
  readonly part: TrainedPart;
  readonly results: readonly StepResult[];
  /** Bytes that the recorded passes hold. */
  readonly passBytes: number;
}

/** Takes `steps` optimiser steps of micro_unet on a golden's batches, and frees all when `use` is done. */
export async function withTraining<R>(context: VerifyContext, golden: GoldenFile, recipe: Recipe, steps: number, use: (training: GoldenTraining) => Promise<R>): Promise<R> {
  const { gpu } = context;
  const folder = companion(context, microFolder);
  const unet = buildUNet(`${folder.name}/config.json`, (await readJson(folder, "config.json")) as Config);
  const schedules = companion(context, "tiny_ldm/scheduler");
  const schedule = new Schedule(schedules.name, (await readJson(schedules, "scheduler_config.json")) as Config);
  const weights = await openCheckpoint(folder, await findWeights(folder, ""));
  const place = { folder: "unet", weightsFile: "diffusion_pytorch_model.safetensors", keyPrefix: "" } as const;
  const part = await createTrainedPart(gpu, unet, place, { weights }, { dtype: recipe.dtype, ema: true }).finally(() => weights.close());
  const batch = goldenBatch(gpu, golden, schedule, recipe);
  const optimisation = new Optimisation(gpu, recipe, [part], () => batch.loss(unet));
  try {
    const results: StepResult[] = [];
    for (let step = 0; step < steps; step++) {
      for (let i = 0; i < recipe.accumulationSteps; i++) {
        batch.fill(step * recipe.accumulationSteps + i);
        optimisation.accumulate(i);
      }
      results.push(await optimisation.update(step));
    }
    return await use({ part, results, passBytes: optimisation.passBytes });
  } finally {
    optimisation.free();
    batch.free();
    freeTrainedPart(part);
  }
}

/** Tensors of one of the golden's batches `in.*` [batches, B, ...], and the loss on them. */
function goldenBatch(gpu: Gpu, golden: GoldenFile, schedule: Schedule, recipe: Recipe) {
  const names = ["z", "noise", "context"] as const;
  const tensors = Object.fromEntries(names.map((name) => [name, gpu.keep(gpu.empty(golden.tensor(`in.${name}`).shape.slice(1)))])) as Record<(typeof names)[number], ReturnType<Gpu["empty"]>>;
  const vector = () => gpu.keep(gpu.empty([recipe.batchSize]));
  const at: TimestepTensors = { timesteps: vector(), sqrtAlpha: vector(), sqrtOneMinusAlpha: vector(), minusSqrtOneMinusAlpha: vector(), weights: vector() };
  const values = (name: string, index: number) => {
    const { data, shape } = golden.tensor(`in.${name}`);
    const size = sizeOf(shape.slice(1));
    return data.slice(index * size, (index + 1) * size);
  };
  return {
    loss: (unet: UNet2DConditionModel) => denoisingLoss(unet, { z: toChannelsLast(tensors.z), noise: toChannelsLast(tensors.noise), text: tensors.context }, at, recipe),
    fill(index: number) {
      for (const name of names) tensors[name].write(values(name, index));
      const ofTimesteps = timestepValues(schedule, recipe, [...values("t", index)]);
      for (const name of Object.keys(at) as (keyof TimestepTensors)[]) at[name].write(ofTimesteps[name]);
    },
    free: () => [...Object.values(tensors), ...Object.values(at)].forEach((tensor) => tensor.free()),
  };
}

/** Compares what steps of training came to with what the reference says of a variant. */
export async function variantParts(golden: GoldenFile, name: string, { log, param_sum_sq, ema_sum_sq }: Variant, { part, results }: GoldenTraining): Promise<Part[]> {
  const compare = (what: string, actual: (result: StepResult) => number | number[], expected: (entry: Variant["log"][number]) => number | number[], bound: number) =>
    relativePart(`${name}.${what}`, results.flatMap(actual), log.flatMap(expected), bound);
  return [
    compare("losses", ({ losses }) => losses, ({ losses }) => losses, lossBound),
    compare("grad_norm", ({ state }) => state.gradientNorm, ({ grad_norm }) => grad_norm, gradientBound),
    compare("lr", ({ learningRate }) => learningRate, ({ lr }) => lr, formulaBound),
    compare("ema_decay", ({ emaDecay }) => emaDecay, ({ ema_decay }) => ema_decay, formulaBound),
    ...(await weightParts(golden, `${name}.param`, part.weights, param_sum_sq)),
    ...(await weightParts(golden, `${name}.ema`, part.ema as ParameterSet, ema_sum_sq)),
  ];
}

/** Compares the weights that a golden has, and the sum of the squares of all. */
async function weightParts(golden: GoldenFile, prefix: string, set: ParameterSet, expectedSum: number): Promise<Part[]> {
  const parts: Part[] = [];
  let squares = 0;
  for (const [key, parameter] of set) {
    const values = pytorchOrder(parameter, await parameter.tensor.read());
    for (const value of values) squares += value * value;
    const expected = golden.tensors.get(`${prefix}.${key}`);
    if (expected) parts.push(relativePart(`${prefix}.${key}`, values, expected.data, weightBound));
  }
  return [...parts, relativePart(`${prefix}_sum_sq`, [squares], [expectedSum], weightSumBound)];
}

/** The recipe that a golden describes in words, in one of its variants: `eps` or `v`, with `_minsnr` or without. */
export function goldenRecipe(golden: GoldenFile, variant: string): Recipe {
  const text = golden.fact<string>("recipe");
  const numbers = (pattern: RegExp) => {
    const found = pattern.exec(text);
    if (!found) throw new InputError(golden.name, `its recipe has nothing like ${pattern.source}`);
    return found.slice(1).map(Number);
  };
  const [prediction, weighting] = /^(eps|v)(_minsnr)?$/.exec(variant)?.slice(1) ?? [];
  if (!prediction) throw new InputError(golden.name, `has the variant ${variant} of the recipe, which is not known`);
  const [learningRate] = numbers(/\blr (\S+)/);
  const [warmupSteps, maxSteps] = numbers(/cosine with (\d+) warm-up steps of (\d+)/);
  const [accumulationSteps, batchSize] = numbers(/(\d+) accumulation steps of (\d+) samples/);
  const [weightDecay] = numbers(/\bwd (\S+)/);
  const [eps] = numbers(/\beps ([^\s;]+)/);
  const [maxNorm] = numbers(/\bclip ([^\s;]+)/);
  return completeRecipe({
    maxSteps, warmupSteps, accumulationSteps, batchSize, learningRate, weightDecay, eps, maxNorm,
    betas: numbers(/\bbetas (\S+) (\S+)/) as [number, number],
    predictionType: prediction === "v" ? "v_prediction" : "epsilon",
    minSnrGamma: weighting ? MIN_SNR_GAMMA : 0,
    textDrop: 0,
    dtype: "f32",
  });
}

/** Of the paper that proposes the weighting (Hang et al. 2023). */
const MIN_SNR_GAMMA = 5;
