// The door attnscope/training: recipes, losses and the loop, for browsers and Node. Data come from the caller.
export * from "./ops/loss.ts";
export * from "./ops/optim.ts";
export * from "./training/denoising_loss.ts";
export * from "./training/encoder_training.ts";
export * from "./training/initial_weights.ts";
export { train, type StepRecord, type TrainingRun } from "./training/loop.ts";
export { attachLora, attachLoraOf, type Lora } from "./training/lora.ts";
export { Optimisation, type StepResult } from "./training/optimisation.ts";
export { completeRecipe, globalBatch, publishedRecipe, publishedSeeds, type Recipe } from "./training/recipe.ts";
export { learningRateAt } from "./training/schedule_lr.ts";
export { createTrainedPart, freeTrainedPart, type PartOptions, type PartPlace, type PartSources, type TrainedPart } from "./training/trained_part.ts";
export { unetTask, type LatentDataset, type TrainingTask, type UNetTask } from "./training/unet_training.ts";
export { vaeRecipe, vaeTask, type ImageDataset, type VaeTask } from "./training/vae_training.ts";
