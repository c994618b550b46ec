import { cp } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { loadModel } from "../models/load.ts";
import type { AutoencoderKL } from "../models/vae.ts";
import { parameterOutputs } from "../training/checkpoint.ts";
import { filmImages, openModelFolder } from "../training/model_folder_node.ts";
import { foldStandardisation, latentStatistics } from "../training/standardise.ts";
import { usableSamples } from "../training/usable_samples_node.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import { onDisk, writeFileAtomically, writeFolderAtomically, writeSafetensorsFile } from "../weights/atomic_file_node.ts";
import { createCommand, interruptSignal, log, printJson } from "./command.ts";
import { wholeNumber } from "./numbers.ts";
import { skipShareOption } from "./train_options.ts";

/** `train standardise`: what follows the training of a VAE. */
export function standardiseCommand(): Command {
  return createCommand("standardise", "give a VAE's latents mean 0 and variance 1, by folding that into its weights in place", "train standardise --model phantom --data phantom/mimic-cxr-jpg")
    .requiredOption("--model <folder>", "model folder whose vae/ is rewritten")
    .requiredOption("--data <folder>", "data set whose training films are measured")
    .option("--films <n>", "how many of them", wholeNumber(1), 500)
    .addOption(skipShareOption())
    .action(standardise);
}

async function standardise({ model: path, data, films, skipShare, json }: { model: string; data: string; films: number; skipShare: number; json?: boolean }): Promise<void> {
  const signal = interruptSignal();
  const model = openModelFolder(path);
  const vae = await model.vae();
  const { samples, skipped } = await usableSamples(data, { split: "train", skipShare, tell: log });
  const gpu = await openGpu();
  try {
    const weights = await model.weights("vae");
    await loadModel(gpu, vae, weights, { dtype: "f32" }).finally(() => weights.close());
    const statistics = await latentStatistics(gpu, vae, filmImages(samples.slice(0, films), vae.config.sampleSize, skipped), signal);
    await foldStandardisation(vae, statistics);
    const config = { ...JSON.parse(await model.configText("vae")), scaling_factor: 1 };
    await replaceVae(join(path, "vae"), vae, config);
    if (json) printJson({ model: path, films: Math.min(films, samples.length), skipped: skipped.count, ...statistics });
    else log(`${path}/vae: the latents of ${Math.min(films, samples.length)} films had means ${shown(statistics.mean)} and deviations ${shown(statistics.deviation)}; now 0 and 1`);
  } finally {
    gpu.close();
  }
}

/** Weights and config.json must agree: both change at once, in a new folder with whatever else there was. */
async function replaceVae(path: string, vae: AutoencoderKL, config: object): Promise<void> {
  const [weightsFile, configFile] = ["diffusion_pytorch_model.safetensors", "config.json"];
  await writeFolderAtomically(path, async (fresh) => {
    const filter = (from: string) => ![weightsFile, configFile].includes(basename(from));
    await onDisk(path, cp(path, fresh, { recursive: true, dereference: true, filter }));
    await writeSafetensorsFile(join(fresh, weightsFile), parameterOutputs(vae.parameters, ""));
    await writeFileAtomically(join(fresh, configFile), (sink) => sink.write(new TextEncoder().encode(`${JSON.stringify(config, undefined, 2)}\n`)));
  });
}

function shown(values: readonly number[]): string {
  return values.map((value) => value.toFixed(3)).join(", ");
}
