import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { InputError } from "../errors.ts";
import { type Recipe, completeRecipe, publishedRecipe, publishedSeeds } from "../training/recipe.ts";
import { number, share, wholeNumber } from "./numbers.ts";

/** Where a run is kept, and how often. */
export interface RunCommandOptions extends Partial<Recipe> {
  out: string;
  resume?: string;
  saveEvery: number;
  keep: number;
  divergence: number;
  fromScratch?: boolean;
  startFrom?: string;
  saveModel?: string;
  json?: boolean;
}

type Parse = (text: string) => unknown;

/** Recipe options: flag, what it is, and how its text is read. */
const recipeOptions: readonly [name: keyof Recipe, flag: string, description: string, parse?: Parse][] = [
  ["maxSteps", "--max-steps <n>", "optimiser steps in all, where the cosine ends", number],
  ["batchSize", "--batch-size <n>", "samples of one pass", number],
  ["accumulationSteps", "--accumulation-steps <n>", "passes whose gradients are added up for one step", number],
  ["learningRate", "--learning-rate <rate>", "learning rate", number],
  ["schedule", "--schedule <kind>", "cosine or constant, after the warm-up"],
  ["warmupSteps", "--warmup-steps <n>", "steps over which the rate rises", number],
  ["finalRate", "--final-rate <share>", "share of the rate that the cosine ends at", number],
  ["betas", "--betas <beta1,beta2>", "decay of AdamW's moments", numbers],
  ["eps", "--eps <eps>", "AdamW's epsilon", number],
  ["weightDecay", "--weight-decay <decay>", "AdamW's weight decay", number],
  ["maxNorm", "--max-norm <norm>", "greatest global norm of the gradients; 0: no clipping", number],
  ["predictionType", "--prediction-type <type>", "epsilon or v_prediction"],
  ["minSnrGamma", "--min-snr-gamma <gamma>", "Min-SNR weighting; 0: none", number],
  ["noiseOffset", "--noise-offset <deviation>", "shift of each channel's noise; 0: none", number],
  ["timesteps", "--timesteps <distribution>", "uniform, or a,b of a Beta distribution", (text) => (text === "uniform" ? text : numbers(text))],
  ["textDrop", "--text-drop <share>", "how often a text is replaced by the empty one", number],
  ["emaDecay", "--ema-decay <decay>", "largest decay of the weights' moving average; 0: none", number],
  ["dtype", "--dtype <type>", "storage of activations and stored weights: f32 or f16"],
  ["lossScale", "--loss-scale <factor>", "the loss scale that f16 starts with", number],
  ["scaleGrowth", "--scale-growth <factor>", "what it grows by", number],
  ["scaleBackoff", "--scale-backoff <factor>", "what it is multiplied by after an overflow", number],
  ["scaleInterval", "--scale-interval <n>", "steps without overflow after which it grows", number],
  ["seed", "--seed <n>", `seed of order, noise, timesteps and dropped texts; the paper has ${publishedSeeds.join(", ")}`, number],
  ["trainTextEncoder", "--train-text-encoder", "train the text encoder too"],
  ["loraRank", "--lora-rank <rank>", "train low-rank factors of the attention projections alone; 0: all weights", number],
  ["loraAlpha", "--lora-alpha <alpha>", "their factor is alpha / rank; 0: alpha is the rank", number],
  ["gradientCheckpointing", "--gradient-checkpointing", "keep less for the backward pass and compute it again"],
];

/** Options of the diffusion objective, which other models' training lacks. */
const unetOnly: readonly (keyof Recipe)[] = ["predictionType", "minSnrGamma", "noiseOffset", "timesteps", "textDrop", "trainTextEncoder", "loraRank", "loraAlpha", "gradientCheckpointing"];

/** Adds the options of a run and of its recipe, with the recipe's values as defaults. */
export function addTrainOptions(command: Command, defaults: Readonly<Recipe>, kind: "unet" | "other"): Command {
  command
    .requiredOption("--out <folder>", "the run's folder: checkpoints, metrics.csv and report.html")
    .option("--resume <which>", "latest: go on from the run's latest checkpoint, or start where there is none")
    .option("--save-every <n>", "steps between checkpoints", wholeNumber(1), 500)
    .option("--keep <n>", "checkpoints that are kept", wholeNumber(1), 3)
    .option("--save-model <folder>", "when done, put a whole model here: the model's folder with what was trained in its place")
    .option("--divergence <factor>", "stop when the loss stays this many times above its lowest; 0: never", number, 3)
    .option("--start-from <folder>", "start from the weights of this checkpoint instead of the model's")
    .option("--from-scratch", "start from random weights instead of the model's");
  for (const [name, flag, description, parse] of recipeOptions) {
    if (kind !== "unet" && unetOnly.includes(name)) continue;
    const option = new Option(flag, description).default(undefined, String(defaults[name]));
    command.addOption(parse ? option.argParser(parse) : option);
  }
  return command;
}

/** How much of a data set may be unusable. */
export function skipShareOption(): Option {
  return new Option("--skip-share <share>", "share of the samples that may be left out because they cannot be used").argParser(share).default(0.01);
}

/** The recipe that a command was given. @throws InputError naming what is out of its range */
export function recipeOf(options: RunCommandOptions, defaults: Readonly<Recipe> = publishedRecipe): Recipe {
  const given = Object.fromEntries(recipeOptions.map(([name]) => [name, options[name]])) as Partial<Recipe>;
  try {
    return completeRecipe(given, defaults);
  } catch (error) {
    throw error instanceof InputError ? withFlags(error) : error;
  }
}

/** An error that names members of the recipe, with the options that stand for them. */
function withFlags({ where, message }: InputError): InputError {
  const flags = new Map<string, string>(recipeOptions.map(([name, flag]) => [name, flag.split(" ")[0]]));
  const fact = message.slice(`${where}: `.length).replace(/\b[a-z]+[A-Z]\w*/g, (name) => flags.get(name) ?? name);
  return new InputError(flags.get(where) ?? where, fact);
}

/** Checks the options of the run itself. @throws InputError naming the option */
export function checkRunOptions({ out, resume, divergence, startFrom, fromScratch, saveModel }: RunCommandOptions): void {
  if (resume !== undefined && resume !== "latest") throw new InputError("--resume", `is ${resume}; the one choice is latest`);
  if (divergence !== 0 && divergence <= 1) throw new InputError("--divergence", `${divergence} is neither 0 nor above 1`);
  if (startFrom !== undefined && fromScratch) throw new InputError("--start-from", "does not go with --from-scratch; choose one");
  if (saveModel !== undefined && resolve(saveModel) === resolve(out)) throw new InputError("--save-model", `${saveModel} is --out, the run's own folder; choose another`);
}

function numbers(text: string): number[] {
  return text.split(",").map(number);
}
