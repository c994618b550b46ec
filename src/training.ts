/**
 * Recipes, losses and the loop, for browsers and Node. Data come from the caller; runs in a folder, data sets and
 * checkpoints on a disk are exported by Node's door of attnscope itself.
 * @module attnscope/training
 */
export { LORA_FILE, LORA_FOLDER, LORA_PREFIX, attachLora, attachLoraOf, loraPrefixes, type Lora } from "./models/lora.ts";
export * from "./ops/loss.ts";
export * from "./ops/optim.ts";
export { checkSameConfiguration, checkpointFiles, emaFolder, parameterOutputs, type CheckpointFile, type Configuration } from "./training/checkpoint.ts";
export { dataOrder, slotsOf, type BatchPosition, type DataOrder } from "./training/data_order.ts";
export * from "./training/denoising_loss.ts";
export * from "./training/encoder_training.ts";
export { firstNotFinite } from "./training/finite.ts";
export * from "./training/initial_weights.ts";
export { train, type StepRecord, type TrainingRun } from "./training/loop.ts";
export * from "./training/loss_watch.ts";
export { Optimisation, type StepResult } from "./training/optimisation.ts";
export { phantomAttributes } from "./training/phantom_attributes.ts";
export { completeRecipe, globalBatch, publishedRecipe, publishedSeeds, type Recipe } from "./training/recipe.ts";
export { learningRateAt } from "./training/schedule_lr.ts";
export { skippedSamples, type Skipped } from "./training/skipped.ts";
export * from "./training/standardise.ts";
export { createTrainedPart, freeTrainedPart, type ParameterSet, type PartOptions, type PartPlace, type PartSources, type TrainedPart } from "./training/trained_part.ts";
export { unetTask, type LatentDataset, type LiveText, type TrainingTask, type UNetTask } from "./training/unet_training.ts";
export { vaeLossFactors, vaeRecipe, vaeTask, type ImageDataset, type VaeTask } from "./training/vae_training.ts";
export * from "./training/validation_record.ts";
