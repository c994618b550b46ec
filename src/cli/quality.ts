import { type Command, Option } from "commander";
import { InputError } from "../errors.ts";
import type { Diversity } from "../quality/diversity.ts";
import { type FeatureKind, featureNetworks } from "../quality/feature_networks.ts";
import { createCommand, interruptSignal, printJson } from "./command.ts";
import { share, wholeNumber } from "./numbers.ts";
import { type ImageFolder, type QualityOptions, measureDistances, measureDiversity, openImages } from "./quality_run.ts";

const weightsHelp = `
Weights:
  --inception  pytorch-fid's pt_inception-2015-12-05-6726825d.pth
  --xrv        torchxrayvision's densenet121-res224-all
Images that lie in folders of their own by prompt are compared with each other there. Feature vectors are kept in the
user's cache: an interrupted call goes on, and images that were seen before cost nothing.`;

/** `quality`: Fréchet distances and MS-SSIM (method, section 11). */
export function qualityCommand(): Command {
  return createCommand("quality", "compare generated images with real ones: FID, FID_XRV, MS-SSIM", "quality --real films --fake generated --inception pt_inception.pth")
    .requiredOption("--real <folder>", "real images")
    .requiredOption("--fake <folder>", "generated images")
    .option("--inception <file>", "weights of InceptionV3: computes FID")
    .option("--xrv <file>", "weights of torchxrayvision's DenseNet-121: computes FID_XRV")
    .addOption(new Option("--reading <reading>", "images for InceptionV3 as pytorch-fid has them, or as the published code does").choices(["paper", "compat"]).default("paper"))
    .option("--pairs <n>", "pairs of images of each folder whose MS-SSIM is averaged; 0 for none", wholeNumber(0), 500)
    .option("--seed <n>", "which pairs are drawn", wholeNumber(0), 0)
    .option("--skip-share <share>", "share of a folder's images that may be left out because they cannot be read", share, 0.01)
    .option("--no-cache", "neither use nor keep feature vectors on the disk")
    .addHelpText("after", weightsHelp)
    .action(run);
}

async function run(options: QualityOptions): Promise<void> {
  const kinds = (Object.keys(featureNetworks) as FeatureKind[]).filter((kind) => options[kind] !== undefined);
  if (kinds.length === 0 && options.pairs === 0) throw new InputError("--pairs", "is 0 and no weights are given, so that there is nothing to compute; name weights with --inception or --xrv");
  const signal = interruptSignal();
  const [real, fake] = [await openImages(options.real), await openImages(options.fake)];
  const distances = kinds.length === 0 ? {} : await measureDistances(kinds, [real, fake], options, signal);
  const msSsim = options.pairs === 0 ? undefined : { real: await measureDiversity(real, options, signal), fake: await measureDiversity(fake, options, signal) };
  const describe = ({ path, images, leftOut }: ImageFolder) => ({ folder: path, images: images.length - leftOut.size, leftOut: [...leftOut] });
  const report = { real: describe(real), fake: describe(fake), distances, msSsim, reading: options.reading, seed: options.seed };
  if (options.json) printJson(report);
  else for (const line of table(report)) process.stdout.write(`${line}\n`);
}

function table({ real, fake, distances, msSsim }: { real: { images: number }; fake: { images: number }; distances: Record<string, number>; msSsim?: { real?: Diversity; fake?: Diversity } }): string[] {
  const row = (name: string, value: string) => `${name.padEnd(14)}${value}`;
  const diversity = (value: Diversity | undefined) => {
    if (!value) return "no two images in one folder";
    const { mean, deviation, pairs } = value;
    return pairs === 1 ? `${mean.toFixed(3)} (1 pair)` : `${mean.toFixed(3)} ± ${deviation.toFixed(3)} (${pairs} pairs)`;
  };
  return [
    row("images", `${real.images} real, ${fake.images} generated`),
    ...Object.entries(distances).map(([name, value]) => row(name, value.toFixed(2))),
    ...(msSsim ? [row("MS-SSIM real", diversity(msSsim.real)), row("MS-SSIM fake", diversity(msSsim.fake))] : []),
  ];
}
