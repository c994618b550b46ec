import type { ImageQuality } from "../paper/tables.ts";
import type { FeatureKind } from "../quality/feature_networks.ts";
import type { EvalData } from "./eval_run.ts";
import type { PaperOptions } from "./paper_options.ts";
import { generatedImages } from "./paper_steps.ts";
import { type ImageFolder, type QualityOptions, measureDistances, measureDiversity, openImages } from "./quality_run.ts";

/** Pairs of generated images whose MS-SSIM is averaged: the default of `quality`. */
const PAIRS = 500;

/** Table 4's measures of the images that each model has generated. Feature vectors are kept, so that a second call is quick. */
export async function measureQuality(options: PaperOptions, { samples }: EvalData, signal: AbortSignal): Promise<Map<string, ImageQuality>> {
  const { inception, xrv, real, seed, cache } = options;
  const found = new Map<string, ImageQuality>();
  const kinds = ([["inception", inception], ["xrv", xrv]] as const).flatMap(([kind, file]): FeatureKind[] => (file === undefined ? [] : [kind]));
  const ownImages: ImageFolder = { path: "the data set", images: [...new Set(samples.map(({ imagePath }) => imagePath))], leftOut: new Set() };
  for (const [name, fake] of generatedImages(options)) {
    const wanted: QualityOptions = { real: real ?? "the data set", fake, inception, xrv, reading: "paper", pairs: PAIRS, seed, skipShare: 0.01, cache };
    const images = await openImages(fake);
    const distances = kinds.length === 0 ? {} : await measureDistances(kinds, [real === undefined ? ownImages : await openImages(real), images], wanted, signal);
    found.set(name, { fid: distances.FID, fidXrv: distances.FID_XRV, msSsim: await measureDiversity(images, wanted, signal), images: images.images.length });
  }
  return found;
}
