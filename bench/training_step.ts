import { readFileSync } from "node:fs";
import { join } from "node:path";
import { randomValues, upload } from "../shaders-test/values.ts";
import { packageRoot } from "../src/cli/package.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { Parameter } from "../src/models/parameters.ts";
import { UNet2DConditionModel } from "../src/models/unet.ts";
import { type UNetConfig, readUNetConfig } from "../src/models/unet_config.ts";
import { full, zeros } from "../src/ops/fill.ts";
import type { Tensor } from "../src/tensor.ts";
import { type TimestepTensors, denoisingLoss } from "../src/training/denoising_loss.ts";
import { Optimisation } from "../src/training/optimisation.ts";
import { type Recipe, completeRecipe } from "../src/training/recipe.ts";
import type { ParameterSet, TrainedPart } from "../src/training/trained_part.ts";
import { sharedPath } from "../test/shared.ts";
import { type BenchCase, type BenchResult, benchMain, together } from "./harness.ts";

/** A U-Net that is trained, and the batches that it is trained on. */
interface Training {
  name: string;
  /** Its config.json. */
  config: string;
  batchSize: number;
  tokens: number;
}

const phantom: Training = { name: "phantom", config: join(packageRoot, "weights/phantom/unet/config.json"), batchSize: 32, tokens: 32 };
const microConfig = sharedPath("goldens/micro_unet/config.json");
const trainings = microConfig === undefined ? [phantom] : [phantom, { name: "micro_unet", config: microConfig, batchSize: 2, tokens: 9 }];

/** Random weights with what AdamW and the moving average keep beside them. */
function randomPart(gpu: Gpu, unet: UNet2DConditionModel): TrainedPart {
  const filled = (set: ParameterSet, make: (shape: readonly number[], seed: number) => Tensor): ParameterSet => {
    for (const [seed, parameter] of [...set.values()].entries()) parameter.fill([make(parameter.packedShape, seed)]);
    return set;
  };
  const alike = () => filled(new Map([...unet.parameters].map(([key, { name, shape, packing }]) => [key, new Parameter(name, shape, packing)])), (shape) => zeros(gpu, shape));
  const stored = filled(unet.parameters, (shape, seed) => upload(gpu, randomValues(shape.reduce((a, b) => a * b), seed, "f32", 0.1), shape));
  return { folder: "unet", weightsFile: "diffusion_pytorch_model.safetensors", keyPrefix: "", stored, weights: stored, means: alike(), squares: alike(), ema: alike() };
}

function randomBatch(gpu: Gpu, { inChannels, sampleSize, levels }: UNetConfig, { batchSize, tokens }: Training) {
  const random = (seed: number, ...shape: number[]) => upload(gpu, randomValues(shape.reduce((a, b) => a * b), seed), shape);
  const latents = [batchSize, sampleSize, sampleSize, inChannels];
  const each = (value: number) => full(gpu, [batchSize], value);
  const at: TimestepTensors = { timesteps: each(500), sqrtAlpha: each(0.6), sqrtOneMinusAlpha: each(0.8), minusSqrtOneMinusAlpha: each(-0.8), weights: each(1) };
  return { inputs: { z: random(1, ...latents), noise: random(2, ...latents), text: random(3, batchSize, tokens, levels[0].contextWidth) }, at };
}

/** Bytes that the passes of a step hold, by variant. */
type PassBytes = Map<string, number>;

/** The forward pass and loss alone, then whole steps: both passes, clipping, AdamW and moving average. */
function cases(gpu: Gpu, training: Training, passBytes: PassBytes): BenchCase[] {
  const config = readUNetConfig(training.config, JSON.parse(readFileSync(training.config, "utf8")));
  const unet = new UNet2DConditionModel(config);
  const part = randomPart(gpu, unet);
  const { inputs, at } = randomBatch(gpu, config, training);
  const recipeOf = (gradientCheckpointing: boolean): Recipe => completeRecipe({ batchSize: training.batchSize, accumulationSteps: 1, dtype: "f32", gradientCheckpointing });
  const forward = gpu.record("forward", () => void denoisingLoss(unet, inputs, at, recipeOf(false)));
  const stepOf = (variant: string, gradientCheckpointing: boolean) => {
    const recipe = recipeOf(gradientCheckpointing);
    const optimisation = new Optimisation(gpu, recipe, [part], () => denoisingLoss(unet, inputs, at, recipe));
    passBytes.set(variant, optimisation.passBytes);
    return () => {
      optimisation.accumulate(0);
      // What it reads back is of no use here; the work is waited for with the rest.
      void optimisation.update(0);
    };
  };
  const runs = { forward: () => forward.replay(), step: stepOf("step", false), checkpointed: stepOf("checkpointed", true) };
  const { batchSize } = training;
  const { sampleSize, inChannels } = config;
  return Object.entries(runs).map(([variant, run]) => {
    const before = gpu.flopsSubmitted;
    run();
    gpu.flush();
    return { name: `${training.name}, ${batchSize} x ${sampleSize}x${sampleSize}x${inChannels}`, variant, flops: gpu.flopsSubmitted - before, bytes: 0, run: () => (run(), together([])) };
  });
}

function printRates(results: readonly BenchResult[], { batchSize }: Training, passBytes: PassBytes, print: (line: string) => void): void {
  const forward = results.find(({ variant }) => variant === "forward") as BenchResult;
  for (const { variant, medianMs, leastMs } of results.filter((result) => result !== forward)) {
    const ratios = `${(medianMs / forward.medianMs).toFixed(2)} times the forward pass by medians, ${(leastMs / forward.leastMs).toFixed(2)} by least times`;
    print(`${variant.padEnd(16)} ${((1000 * batchSize) / medianMs).toFixed(1)} samples/s, ${ratios}; passes hold ${((passBytes.get(variant) as number) / 2 ** 20).toFixed(1)} MiB`);
  }
}

if (microConfig === undefined) console.log("micro_unet is left out: ../shared/goldens is absent");
for (const training of trainings) {
  const passBytes: PassBytes = new Map();
  await benchMain((gpu) => cases(gpu, training, passBytes), (results, print) => printRates(results, training, passBytes, print));
}
