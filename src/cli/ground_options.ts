import { type Command, InvalidArgumentError, Option } from "commander";
import { InputError } from "../errors.ts";
import { type GroundSettings, completeSettings, defaultSettings } from "../grounding/options.ts";
import { firstAlternative } from "../text/captions.ts";
import { number } from "./numbers.ts";

/** Options of a grounding run besides the settings of the method. */
export interface RunOptions {
  /** Folder or URL of the model; the shipped one where absent. */
  model?: string;
  /** Folder or URL of a text encoder, in place of the model's own. */
  textEncoder?: string;
  ema?: boolean;
  dtype: "f32" | "f16";
  /** Output folder. */
  out: string;
  /** Most MiB that tensors may take on the device. */
  memoryBudget?: number;
  /** Whether text biases are kept on the disk. */
  cache: boolean;
  /** Also write each result as DICOM. */
  dicom?: boolean;
  json?: boolean;
}

/** What `ground` takes, as commander parses it. */
export interface GroundCommandOptions extends RunOptions, Partial<GroundSettings> {
  phrase: string[];
  boxes?: string;
}

/** What `--text-encoder` takes, in every command that has it. */
export const textEncoderHelp = "text encoder in place of the model's own: a folder with its configuration, weights and tokenizer, or another model's folder";

/** Adds the options of everything that grounds. */
export function addRunOptions(command: Command, { out = "attnscope-out" }: { out?: string } = {}): Command {
  return addModelOptions(command, out).option("--no-cache", "do not keep text biases on the disk");
}

/** Adds the options of everything that runs a model. */
export function addModelOptions(command: Command, out: string): Command {
  return command
    .option("--model <folder>", "model in the diffusers layout, a folder or URL (default: weights/phantom of this package)")
    .option("--text-encoder <folder>", textEncoderHelp)
    .option("--ema", "take the moving average: unet_ema/, or of a LoRA unet_lora_ema/")
    .option("--out <folder>", "where to put the results", out)
    .option("--seed <n>", "seed of all noise", number, defaultSettings.seed)
    .addOption(new Option("--dtype <type>", "type of the U-Net's weights and activations").choices(["f32", "f16"]).default("f32"))
    .option("--batch <n>", "items of one U-Net evaluation: auto or a number; the result does not depend on it", batch, defaultSettings.batch)
    .option("--memory-budget <mib>", "most MiB of GPU memory to use (default: what the device has)", positive);
}

/** Adds `--steps`. */
export function addStepsOption(command: Command, steps: number): Command {
  return command.option("--steps <n>", "timesteps T", number, steps);
}

/** Adds the options of the method. */
export function addMethodOptions(command: Command): Command {
  const { mode, lastSteps, tokens, merge, layers } = defaultSettings;
  return command
    .addOption(new Option("--mode <mode>", "how the network is sampled").choices(["gt", "gt1", "cfg", "text"]).default(mode))
    .option("--last-steps <n>", "how many of the last timesteps make the map", number, lastSteps)
    .addOption(new Option("--tokens <choice>", "which words make the map").choices(["lexical", "disease", "all"]).default(tokens))
    .addOption(new Option("--merge <kind>", "how image and text bias enter the map").choices(["mixture", "linear", "quadratic", "none"]).default(merge))
    .option("--layers <list>", "cross-attention layers: all, or numbers such as 0,3", layerList, layers)
    .addOption(guidanceOption())
    .addOption(readingOption());
}

/** `--guidance`. */
export function guidanceOption(): Option {
  return new Option("--guidance <scale>", "guidance scale of the modes cfg and gt1 and of the text bias").argParser(number).default(defaultSettings.guidance);
}

/** `--reading`. */
export function readingOption(): Option {
  return new Option("--reading <reading>", "as the paper has it, or as the published code does").choices(["paper", "compat"]).default(defaultSettings.reading);
}

/**
 * Checks what can be checked before a model is loaded, and gives the settings.
 * @throws InputError naming the option
 */
export function checkedSettings(options: GroundCommandOptions): GroundSettings {
  for (const phrase of options.phrase) {
    if (firstAlternative(phrase) === "") throw new InputError("--phrase", "is empty; say what to look for");
  }
  return completeSettings(options, Infinity);
}

function positive(text: string): number {
  const value = number(text);
  if (value <= 0) throw new InvalidArgumentError("It must be more than 0.");
  return value;
}

function batch(text: string): "auto" | number {
  return text === "auto" ? text : number(text);
}

/** `all`, or numbers such as `0,3`, as an option's value. */
export function layerList(text: string): "all" | number[] {
  if (text === "all") return text;
  if (!/^\d+(,\d+)*$/.test(text)) throw new InvalidArgumentError("Give all, or numbers such as 0,3.");
  return text.split(",").map(Number);
}
