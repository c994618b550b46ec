import { type Command, Option } from "commander";
import { type Split, splits } from "../data/layouts/layout.ts";
import { loadLatentEncoders } from "../models/ldm.ts";
import { nodePlatform } from "../platform_node.ts";
import { precompute } from "../training/precompute_node.ts";
import { usableSamples } from "../training/usable_samples_node.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { textEncoderHelp } from "./ground_options.ts";
import { createProgress } from "./progress.ts";
import { skipShareOption } from "./train_options.ts";

interface PrecomputeCommandOptions {
  model: string;
  textEncoder?: string;
  out: string;
  images?: string;
  split: Split;
  skipShare: number;
  json?: boolean;
}

/** `data precompute`. */
export function precomputeCommand(): Command {
  return createCommand("precompute", "encode films and captions once, for training", "data precompute phantom/mimic-cxr-jpg --model phantom --out latents")
    .argument("<dir>", "data set in the MIMIC-CXR-JPG or MS-CXR layout")
    .requiredOption("--model <folder>", "model whose VAE and text encoder encode")
    .option("--text-encoder <folder>", textEncoderHelp)
    .requiredOption("--out <folder>", "where to put the latents; an interrupted call goes on in it")
    .option("--images <folder>", "where the paths of the images start (default: the folder of the CSV file)")
    .addOption(new Option("--split <name>", "which split is encoded").choices(splits).default("train"))
    .addOption(skipShareOption())
    .action(run);
}

async function run(location: string, options: PrecomputeCommandOptions): Promise<void> {
  const signal = interruptSignal();
  const progress = createProgress();
  const { images, split, skipShare } = options;
  const tell = (line: string) => {
    progress.stop();
    log(line);
  };
  const { samples, skipped, folder } = await usableSamples(location, { images, split, skipShare, tell });
  const gpu = await openGpu();
  try {
    const encoders = await loadLatentEncoders(gpu, nodePlatform, nodePlatform.openFolder(options.model), { textEncoder: options.textEncoder, signal });
    const index = await precompute(encoders, samples, options.out, {
      skipped, folder, signal,
      onProgress: (part, done, total) => progress.update(part, done, total),
    });
    progress.stop();
    if (options.json) printJson({ out: options.out, samples: index.samples.length, texts: index.texts.length, skipped: skipped.count });
    else log(`${options.out}: ${index.samples.length} films, ${index.texts.length} texts, ${skipped.count} left out`);
  } finally {
    progress.stop();
    gpu.close();
  }
}
