import { join } from "node:path";
import { Command } from "commander";
import type { Config } from "../config.ts";
import type { PhantomRecord } from "../data/layouts/phantom_record.ts";
import { readPhantomRecords } from "../data/layouts/read_phantom_node.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { BertModel } from "../models/bert.ts";
import { loadModel } from "../models/load.ts";
import { LORA_FILE, LORA_FOLDER, LORA_PREFIX, attachLora } from "../models/lora.ts";
import { type Model, freeModel } from "../models/parameters.ts";
import type { OpenedTextEncoder } from "../models/text_encoder_folder.ts";
import { textWidths } from "../models/unet_config.ts";
import { nodePlatform } from "../platform_node.ts";
import { assembleModel, checkModelPlace } from "../training/assemble_model_node.ts";
import { AttributeHeads, encoderRecipe, encoderTask } from "../training/encoder_training.ts";
import { fingerprint, hashOf } from "../training/fingerprint_node.ts";
import { initialWeights, loraInitialValues, normalValues, zeroValues } from "../training/initial_weights.ts";
import { openLatents } from "../training/latent_dataset_node.ts";
import type { StepRecord } from "../training/loop.ts";
import { type ModelFolder, filmImages, openModelFolder } from "../training/model_folder_node.ts";
import { phantomAttributes } from "../training/phantom_attributes.ts";
import { type Recipe, completeRecipe, publishedRecipe } from "../training/recipe.ts";
import { type RunPart, type RunResult, runTraining } from "../training/run_node.ts";
import type { Skipped } from "../training/skipped.ts";
import { usableSamples } from "../training/usable_samples_node.ts";
import { type Validation, openValidation } from "../training/validation_node.ts";
import { type TrainingTask, unetTask } from "../training/unet_training.ts";
import { vaeRecipe, vaeTask } from "../training/vae_training.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import type { TensorSource } from "../weights/checkpoint.ts";
import { openFolder } from "../weights/byte_source_node.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { textEncoderHelp } from "./ground_options.ts";
import { wholeNumber } from "./numbers.ts";
import { type Progress, createProgress } from "./progress.ts";
import { type RunCommandOptions, addTrainOptions, checkRunOptions, recipeOf, skipShareOption } from "./train_options.ts";
import { REPORT_FILE, reportCommand, writeTrainingReport } from "./train_report.ts";
import { standardiseCommand } from "./train_standardise.ts";

/** `train unet|vae|encoder|standardise`; without a name, `unet`. */
export function trainCommand(): Command {
  return new Command("train")
    .description("fine-tune a U-Net or its LoRA; train an autoencoder or a text encoder")
    .addHelpText("after", "\nExample:\n  $ attnscope train --model sd --data latents --out run --resume latest")
    .addCommand(unetCommand(), { isDefault: true })
    .addCommand(vaeCommand())
    .addCommand(encoderCommand())
    .addCommand(standardiseCommand())
    .addCommand(reportCommand());
}

interface TrainOptions extends RunCommandOptions {
  model: string;
  data: string;
  textEncoder?: string;
}

interface UNetOptions extends TrainOptions {
  validation?: string;
  validationFilms: number;
  validateEvery: number;
}

interface VaeOptions extends TrainOptions {
  crop: number;
  skipShare: number;
}

/** What a command trains: made once the device is open. */
interface Training {
  parts: RunPart[];
  task: TrainingTask;
  about: Config;
  validate?: Validation["validate"];
  validateEvery?: number;
  /** Samples that are left out, where the data set is read as it is. */
  skipped?: Skipped;
  close(): Promise<void> | void;
}

/** Prints a line for people. */
type Tell = (line: string) => void;

/** What a run is watched with. */
interface Watching {
  progress: Progress;
  tell: Tell;
  signal: AbortSignal;
}

// --- U-Net -----------------------------------------------------------------------------------------------------------

function unetCommand(): Command {
  const command = createCommand("unet", "fine-tune the U-Net on precomputed latents, by the paper's recipe", "train unet --model sd --data latents --out run --resume latest")
    .requiredOption("--model <folder>", "model in the diffusers layout")
    .requiredOption("--data <folder>", "what attnscope data precompute made of a data set with this model")
    .option("--text-encoder <folder>", textEncoderHelp)
    .option("--validation <folder>", "data set whose first films are grounded at intervals: overlays and mean metrics")
    .option("--validation-films <n>", "how many of them", wholeNumber(1), 8)
    .option("--validate-every <n>", "steps between validations", wholeNumber(1), 500);
  return addTrainOptions(command, publishedRecipe, "unet").action((options: UNetOptions) => run(options, recipeOf(options), unetTraining));
}

async function unetTraining(gpu: Gpu, options: UNetOptions, recipe: Recipe, tell: Tell): Promise<Training> {
  const model = openModelFolder(options.model, options);
  if (await openFolder(options.model).has(`${LORA_FOLDER}/${LORA_FILE}`)) throw new InputError("--model", `${options.model} has a LoRA, which a training does not build on; name the model that it was made for, and to go on with it, this one with --start-from`);
  const [unet, schedule, vae, data] = [await model.unet(), await model.schedule(), await model.vae(), await openLatents(options.data)];
  if (schedule.predictionType !== recipe.predictionType) throw new InputError("--prediction-type", `is ${recipe.predictionType}, ${model.name}/scheduler says ${schedule.predictionType}; give the same in both`);
  const [textWidth, widths] = [data.textShape[1], textWidths(unet.config)];
  if (widths.some((width) => width !== textWidth)) throw new InputError(options.data, `has texts of ${textWidth} channels, the U-Net reads ${widths.join(" and ")}; precompute with this model`);
  const live = recipe.trainTextEncoder ? await model.textEncoder() : undefined;
  const frozen: Model[] = [];
  const lora = recipe.loraRank > 0 ? await loraPart(gpu, model, unet, options, recipe, frozen) : undefined;
  const parts = [lora?.part ?? (await modelPart(model, "unet", unet, options, recipe))];
  if (live) parts.push(await textEncoderPart(model, live, options));
  const validation = options.validation === undefined ? undefined : await openValidation(gpu, {
    // A few films are looked at: how many others cannot be does not matter.
    ...(await usableSamples(options.validation, { skipShare: 1, tell })),
    model, unet, recipe, textEncoder: live?.textEncoder, out: options.out, films: options.validationFilms,
  });
  return {
    parts,
    validate: validation?.validate,
    validateEvery: options.validateEvery,
    task: unetTask(gpu, recipe, { unet, schedule, scalingFactor: vae.config.scalingFactor, data, live: live && { encoder: live.textEncoder, tokenizer: live.tokenizer } }),
    about: { kind: "unet", unet: JSON.parse(await model.configText("unet")), frozen: lora?.frozenSha256, data: { latents: data.index.data, model: data.index.model, samples: data.count } },
    async close() {
      validation?.close();
      await data.close();
      frozen.forEach(freeModel);
    },
  };
}

/** The factors of a LoRA on a U-Net, whose own weights are loaded and stay, and their SHA-256. */
async function loraPart(gpu: Gpu, model: ModelFolder, unet: Model, { startFrom }: TrainOptions, recipe: Recipe, frozen: Model[]): Promise<{ part: RunPart; frozenSha256: string }> {
  const weights = await model.weights("unet");
  const hasher = nodePlatform.createHasher();
  await loadModel(gpu, unet, weights, { dtype: recipe.dtype === "f16" ? "f16" : "auto", onBytes: (bytes) => hasher.update(bytes) }).finally(() => weights.close());
  frozen.push(unet);
  const lora = attachLora(unet, { rank: recipe.loraRank, alpha: recipe.loraAlpha || recipe.loraRank });
  const place = { folder: LORA_FOLDER, weightsFile: LORA_FILE, keyPrefix: LORA_PREFIX, others: lora.alphas };
  const file = `${place.folder}/${LORA_FILE}`;
  const start = startFrom === undefined ? initialWeights(lora.parameters, recipe.seed, loraInitialValues) : await openCheckpoint(openFolder(startFrom), file);
  return { part: { place, model: lora, start }, frozenSha256: hasher.hex() };
}

// --- VAE -------------------------------------------------------------------------------------------------------------

function vaeCommand(): Command {
  const recipe = completeRecipe(vaeRecipe);
  const command = createCommand("vae", "train an AutoencoderKL on films: L1 + 2 MSE + 1e-4 KL", "train vae --model phantom --data phantom/mimic-cxr-jpg --from-scratch --out vae-run")
    .requiredOption("--model <folder>", "model folder with vae/config.json, and its weights unless --from-scratch")
    .requiredOption("--data <folder>", "data set in the MIMIC-CXR-JPG or MS-CXR layout, whose training films are read")
    .option("--crop <pixels>", "side of the random crops that are trained on; 0: whole films", wholeNumber(0), 64)
    .addOption(skipShareOption());
  return addTrainOptions(command, recipe, "other").action((options: VaeOptions) => run(options, recipeOf(options, recipe), vaeTraining));
}

async function vaeTraining(gpu: Gpu, options: VaeOptions, recipe: Recipe, tell: Tell): Promise<Training> {
  const model = openModelFolder(options.model);
  const vae = await model.vae();
  const { samples, skipped, folder } = await usableSamples(options.data, { split: "train", skipShare: options.skipShare, tell });
  const side = vae.config.sampleSize;
  const crop = options.crop || side;
  if (crop > side || crop % vae.factor !== 0) throw new InputError("--crop", `${crop} is not a multiple of ${vae.factor} up to ${side}`);
  return {
    parts: [await modelPart(model, "vae", vae, options, recipe)],
    task: vaeTask(gpu, recipe, { vae, data: filmImages(samples, side, skipped), crop }),
    about: { kind: "vae", vae: JSON.parse(await model.configText("vae")), crop, data: { samples: samples.length, sha256: fingerprint(samples, folder) } },
    skipped,
    close: () => undefined,
  };
}

// --- text encoder ----------------------------------------------------------------------------------------------------

function encoderCommand(): Command {
  const recipe = completeRecipe(encoderRecipe);
  const command = createCommand("encoder", "train the phantom's text encoder: attributes of findings and masked words", "train encoder --model phantom --data phantom/mimic-cxr-jpg --from-scratch --out encoder-run")
    .requiredOption("--model <folder>", "model folder with text_encoder/config.json and tokenizer/, and weights unless --from-scratch")
    .requiredOption("--data <folder>", "folder of the phantom that has phantom.jsonl");
  return addTrainOptions(command, recipe, "other").action((options: TrainOptions) => run(options, recipeOf(options, recipe), encoderTraining));
}

async function encoderTraining(gpu: Gpu, options: TrainOptions, recipe: Recipe): Promise<Training> {
  const model = openModelFolder(options.model);
  const opened = await model.textEncoder();
  const { model: bert } = opened.textEncoder;
  if (!(bert instanceof BertModel)) throw new InputError(`${options.model}/text_encoder`, "is no BERT; the phantom's text encoder is one");
  const records: PhantomRecord[] = [];
  for await (const record of readPhantomRecords(options.data)) if (record.set === "train") records.push(record);
  const data = phantomAttributes(records);
  const heads = new AttributeHeads(bert.config.width, data.classes, bert.config.vocabSize);
  const start = options.fromScratch ? initialWeights(bert.parameters, recipe.seed, bertInitialValues) : undefined;
  return {
    parts: [
      await textEncoderPart(model, opened, options, start),
      { place: { folder: "attribute_heads", weightsFile: "model.safetensors", keyPrefix: "" }, model: heads, start: initialWeights(heads.parameters, recipe.seed) },
    ],
    task: encoderTask(gpu, recipe, { bert, heads, tokenizer: opened.tokenizer, data }),
    about: { kind: "encoder", text_encoder: JSON.parse(opened.configText), data: { samples: data.count, sha256: hashOf(records) } },
    close: () => undefined,
  };
}

/** transformers' start of a BERT, but with words far apart and positions near: a small encoder keeps them apart longer. */
const bertInitialValues: Parameters<typeof initialWeights>[2] = ({ name, packing }) => {
  if (name.includes("token_type")) return zeroValues;
  if (name.includes("position_embeddings")) return normalValues(0.3);
  if (name.includes("word_embeddings")) return normalValues(1);
  if (packing === "linear") return normalValues(0.02);
  return name.endsWith("bias") ? zeroValues : undefined;
};

// --- all of them -----------------------------------------------------------------------------------------------------

/** Whose weights a part starts from, unless from random ones. */
function startModel(model: ModelFolder, { startFrom }: RunCommandOptions): ModelFolder {
  return startFrom === undefined ? model : openModelFolder(startFrom);
}

/** A whole model as a part. */
async function modelPart(model: ModelFolder, folder: "unet" | "vae", built: Model, options: TrainOptions, { seed }: Recipe): Promise<RunPart> {
  const place = { folder, weightsFile: "diffusion_pytorch_model.safetensors", keyPrefix: "", config: await model.configText(folder) } as const;
  return { place, model: built, start: options.fromScratch ? initialWeights(built.parameters, seed) : await startModel(model, options).weights(folder) };
}

/** A text encoder as a part: from `start`, or from its weights. */
async function textEncoderPart(model: ModelFolder, { textEncoder, configText }: OpenedTextEncoder, options: TrainOptions, start?: TensorSource): Promise<RunPart> {
  const place = { folder: "text_encoder", weightsFile: "model.safetensors", keyPrefix: textEncoder.keyPrefix, config: configText } as const;
  return { place, model: textEncoder.model, start: start ?? (await startModel(model, options).textEncoderWeights(textEncoder)) };
}

type Prepare<O> = (gpu: Gpu, options: O, recipe: Recipe, tell: Tell) => Promise<Training>;

async function run<O extends TrainOptions>(options: O, recipe: Recipe, prepare: Prepare<O>): Promise<void> {
  checkRunOptions(options);
  const { out, json, saveModel } = options;
  if (saveModel !== undefined) await checkModelPlace(options.model, saveModel);
  const signal = interruptSignal();
  const gpu = await openGpu();
  const progress = createProgress();
  const tell: Tell = (line) => {
    progress.stop();
    log(line);
  };
  try {
    if (recipe.dtype === "f16" && !gpu.has("shader-f16")) throw new InputError("--dtype", "f16 needs the device feature shader-f16, which this device does not have; use f32");
    const training = await prepare(gpu, options, recipe, tell);
    const { last, steps, checkpoint } = await trainAndReport(gpu, options, recipe, training, { progress, tell, signal });
    if (saveModel && checkpoint) await assembleModel(options.model, checkpoint, saveModel, options);
    const skipped = training.skipped?.count;
    if (skipped) log(`${skipped} samples of ${options.data} were left out`);
    if (json) printJson({ out, steps, checkpoint, skipped, last });
    else log(last ? `${out}: ${steps} steps, loss ${last.loss.toFixed(4)}; ${join(out, REPORT_FILE)} shows how it went` : `${out}: the run had ended already, at ${steps} steps`);
  } finally {
    progress.stop();
    gpu.close();
  }
}

/** Trains with a progress bar. However it ends, what was trained stands in the run's page. */
async function trainAndReport(gpu: Gpu, options: TrainOptions, recipe: Recipe, training: Training, { progress, tell, signal }: Watching): Promise<RunResult> {
  const { out, resume, saveEvery, keep, divergence } = options;
  let hasTrained = false;
  try {
    return await runTraining(gpu, {
      ...training,
      recipe, signal, tell, out, saveEvery, keep, divergence,
      resume: resume !== undefined,
      onStep(record) {
        hasTrained = true;
        progress.update(progressLine(record), record.step, recipe.maxSteps);
      },
    });
  } finally {
    progress.stop();
    await training.close();
    if (hasTrained) await writeTrainingReport(out).catch((error: Error) => log(`note: the page of the run was not written: ${error.message}`));
  }
}

function progressLine({ step, loss, learningRate, samplesPerSecond }: StepRecord): string {
  return `step ${step}, loss ${loss.toFixed(4)}, rate ${learningRate.toExponential(2)}, ${samplesPerSecond.toFixed(1)} samples/s`;
}
