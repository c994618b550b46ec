import { smoothed } from "../baselines/similarity.ts";
import type { Plane } from "../data/planes.ts";
import { frechetDistance } from "../quality/frechet.ts";
import { multiScaleSsim } from "../quality/ms_ssim.ts";
import { type Gaussian, RunningGaussian } from "../quality/statistics.ts";
import { formulaBound, frechetBound, msSsimBound } from "./bounds.ts";
import type { Golden } from "./context.ts";
import { type GoldenFile, type HostTensor, readGoldenFile } from "./golden_file.ts";
import { absolutePart, relativePart } from "./parts.ts";

/** Measures of image quality, and the smoothing of BioViL's maps. */
export const qualityGolden: Golden = {
  name: "quality",
  paths: ["quality.safetensors"],
  async run({ folder }, path) {
    const golden = await readGoldenFile(folder, path);
    const distance = frechetDistance(gaussianOf(golden.tensor("fid.a")), gaussianOf(golden.tensor("fid.b")));
    const cosines = golden.tensor("biovil.cosine");
    const grid = smoothed({ side: cosines.shape[0], values: Float64Array.from(cosines.data) });
    return [
      relativePart("Fréchet distance", [distance], [Number(golden.fact("frechet"))], frechetBound),
      absolutePart("MS-SSIM", msSsims(golden), golden.fact<number[]>("ms_ssim_gauss11_range1"), msSsimBound),
      relativePart("smoothed similarity", grid.values, golden.tensor("biovil.smoothed").data, formulaBound),
    ];
  },
};

/** Rows that the statistics take at a time: the goldens are a stream as well. */
const ROWS = 64;

function gaussianOf({ shape: [, features], data }: HostTensor): Gaussian {
  const running = new RunningGaussian(features);
  for (let start = 0; start < data.length; start += ROWS * features) running.add(data.subarray(start, start + ROWS * features));
  return running.fit();
}

function msSsims(golden: GoldenFile): number[] {
  const [x, y] = ["x", "y"].map((name) => planesOf(golden.tensor(`msssim.${name}`)));
  return x.map((plane, i) => multiScaleSsim([plane], [y[i]]));
}

/** The channels of images [B, C, H, W], behind one another. */
export function planesOf({ shape: [batch, channels, height, width], data }: HostTensor): Plane[] {
  const size = height * width;
  return Array.from({ length: batch * channels }, (_, i) => ({ width, height, data: Float64Array.from(data.subarray(i * size, (i + 1) * size)) }));
}
