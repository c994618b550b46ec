import { Command, type OptionValues } from "commander";
import { formatBytes } from "../weights/inspect.ts";
import { createCommand, interruptSignal, printJson } from "./command.ts";
import { createProgress } from "./progress.ts";
import { type CommandOutput, convertWeights, inspectWeights, pullWeights } from "./weights.ts";

/** `weights inspect|convert|pull`. */
export function weightsCommand(): Command {
  return new Command("weights")
    .description("fetch models, convert checkpoints, show what is in them")
    .addHelpText("after", "\nExample:\n  $ attnscope weights inspect model/unet/diffusion_pytorch_model.bin")
    .addCommand(inspectCommand())
    .addCommand(convertCommand())
    .addCommand(pullCommand());
}

function inspectCommand(): Command {
  return createCommand("inspect", "show what is in a checkpoint, or in every checkpoint of a model folder", "weights inspect model")
    .argument("<path>", "a checkpoint (safetensors, sharded index, PyTorch archive) or a model folder")
    .option("--state-dict <key>", "which state dict of a PyTorch file that has several")
    .action(async (path: string, options: OptionValues) => print(await inspectWeights(path, options), options));
}

function convertCommand(): Command {
  return createCommand("convert", "write any checkpoint as one safetensors file", "weights convert model.ckpt model.safetensors --dtype f16")
    .argument("<input>", "the checkpoint to read")
    .argument("<output>", "the safetensors file to write")
    .option("--dtype <dtype>", "element type of all floating-point tensors: f32, f16, bf16 (default: as they are)")
    .option("--state-dict <key>", "which state dict of a PyTorch file that has several")
    .option("--prefix-strip <prefix>", "beginning to take off the names that have it")
    .option("--rename-vae-attention", "give the attention weights of an old VAE their present names")
    .action(async (input: string, output: string, options: OptionValues) => print(await convertWeights(input, output, options), options));
}

function pullCommand(): Command {
  return createCommand("pull", "fetch a model in the diffusers layout from a hub into the cache", "weights pull OWNER/MODEL --endpoint https://hub.example")
    .argument("<repository>", "owner/name on the hub")
    .option("--endpoint <url>", "the hub (default: $HF_ENDPOINT)")
    .option("--revision <revision>", "branch, tag or commit (default: main)")
    .option("--cache <folder>", "cache folder (default: attnscope in the user's cache)")
    .option("--include <pattern...>", "files to fetch instead of those of a model")
    .action(async (repository: string, options: OptionValues) => print(await pull(repository, options), options));
}

async function pull(repository: string, options: OptionValues): Promise<CommandOutput> {
  const progress = createProgress();
  const onProgress: NonNullable<Parameters<typeof pullWeights>[1]["onProgress"]> = ({ path, index, count, fileBytes, fileTotal }) => {
    const size = fileTotal === undefined ? "" : ` of ${formatBytes(fileTotal)}`;
    progress.update(`${path} (${index} of ${count}), ${formatBytes(fileBytes)}${size}`, index - 1 + (fileTotal ? fileBytes / fileTotal : 0), count);
  };
  try {
    return await pullWeights(repository, { ...options, signal: interruptSignal(), onProgress }, process.env);
  } finally {
    progress.stop();
  }
}

function print({ json, text }: CommandOutput, { json: wanted }: OptionValues): void {
  if (wanted) printJson(json);
  else process.stdout.write(`${text}\n`);
}
