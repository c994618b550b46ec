import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Parameter } from "../models/parameters.ts";
import type { AutoencoderKL } from "../models/vae.ts";
import { logvarRange } from "../ops/loss.ts";
import type { ImageDataset } from "./vae_training.ts";

/** Mean and standard deviation of each channel of a VAE's latent samples. */
export interface LatentStatistics {
  /** One value a channel, unscaled. */
  readonly mean: readonly number[];
  /** One value a channel, of means and posterior variances together. */
  readonly deviation: readonly number[];
}

/** A channel that deviates less is the same everywhere: the least log-variance alone gives 3e-7. */
const LEAST_DEVIATION = 1e-6;

/**
 * Statistics of the posterior's samples over images: the mean's mean, and the root of the mean's variance and the mean
 * posterior variance together.
 */
export async function latentStatistics(gpu: Gpu, vae: AutoencoderKL, data: ImageDataset, signal?: AbortSignal): Promise<LatentStatistics> {
  const channels = vae.config.latentChannels;
  const [sums, squares, variances] = Array.from({ length: 3 }, () => new Float64Array(channels));
  let positions = 0;
  for (let sample = 0; sample < data.count; sample++) {
    signal?.throwIfAborted();
    const image = await data.read(sample);
    const moments = gpu.scope("standardise", () => vae.encode(gpu.tensor(image, [1, data.side, data.side, 3]))); // [1, h, w, 2 C]
    const values = await moments.read();
    moments.free();
    for (let at = 0; at < values.length; at += 2 * channels) {
      positions++;
      for (let c = 0; c < channels; c++) {
        sums[c] += values[at + c];
        squares[c] += values[at + c] ** 2;
        variances[c] += Math.exp(Math.min(logvarRange.most, Math.max(logvarRange.least, values[at + channels + c])));
      }
    }
  }
  const mean = Array.from(sums, (sum) => sum / positions);
  return { mean, deviation: mean.map((value, c) => Math.sqrt(squares[c] / positions - value ** 2 + variances[c] / positions)) };
}

/**
 * Folds the map that makes latents of mean 0 and deviation 1 into `quant_conv`, and its inverse into `post_quant_conv`:
 * images decode as before, and the scaling factor becomes 1. The VAE's weights must be f32.
 * @throws InputError where a channel is the same everywhere, before anything is changed
 */
export async function foldStandardisation(vae: AutoencoderKL, { mean, deviation }: LatentStatistics): Promise<void> {
  const channels = vae.config.latentChannels;
  const dead = deviation.findIndex((value) => !(value >= LEAST_DEVIATION));
  if (dead >= 0) throw new InputError("vae", `channel ${dead} of the latents is the same everywhere (its deviation is ${deviation[dead]}) and cannot be standardised; train the VAE longer, or with fewer latent_channels`);
  const rewrite = async (name: string, change: (values: Float32Array) => void) => {
    const parameter = vae.parameters.get(name) as Parameter | undefined;
    if (!parameter) throw new InputError("vae", `has no ${name}, which latents are standardised through; use use_quant_conv and use_post_quant_conv`);
    const values = await parameter.tensor.read();
    change(values);
    parameter.tensor.write(values);
  };
  // Packed [in, out]: of quant_conv 2 C by 2 C, of post_quant_conv C by C.
  await rewrite("quant_conv.weight", (weight) => {
    for (let i = 0; i < weight.length; i++) if (i % (2 * channels) < channels) weight[i] /= deviation[i % (2 * channels)];
  });
  await rewrite("quant_conv.bias", (bias) => {
    for (let c = 0; c < channels; c++) {
      bias[c] = (bias[c] - mean[c]) / deviation[c];
      bias[channels + c] -= 2 * Math.log(deviation[c]);
    }
  });
  const shift = new Float64Array(channels);
  await rewrite("post_quant_conv.weight", (weight) => {
    for (let i = 0; i < weight.length; i++) {
      const input = Math.floor(i / channels);
      shift[i % channels] += weight[i] * mean[input];
      weight[i] *= deviation[input];
    }
  });
  await rewrite("post_quant_conv.bias", (bias) => shift.forEach((value, c) => (bias[c] += value)));
}
