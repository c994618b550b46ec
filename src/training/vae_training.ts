import type { Gpu } from "../gpu/gpu.ts";
import type { AutoencoderKL } from "../models/vae.ts";
import { latentSample, normalNoise } from "../ops/diffusion.ts";
import { klLoss, l1Loss, mseLoss } from "../ops/loss.ts";
import { add, scale, sliceLast } from "../ops/pointwise.ts";
import { type BatchPosition, dataOrder, slotsOf } from "./data_order.ts";
import { drawsFor } from "./draws.ts";
import type { Recipe } from "./recipe.ts";
import type { TrainingTask } from "./unet_training.ts";

/** Images to train an autoencoder on. */
export interface ImageDataset {
  /** Images, numbered from 0; one or more. */
  readonly count: number;
  /** Side of the images in pixels. */
  readonly side: number;
  /** Reads an image [side, side, 3] in [-1, 1]. */
  read(sample: number): Promise<Float32Array>;
}

/** What the VAE's training needs. */
export interface VaeTask {
  /** The autoencoder to train. */
  readonly vae: AutoencoderKL;
  /** The images that it learns to restore. */
  readonly data: ImageDataset;
  /** Side of the random crops that are trained on: a multiple of the VAE's factor; the images' own side for none. */
  readonly crop: number;
}

/** Factors of the loss's terms. */
export const vaeLossFactors = {
  /** Mean absolute difference of the pixels. */
  l1: 1,
  /** Mean squared difference of the pixels. */
  mse: 2,
  /** KL divergence from the standard normal distribution, a latent value. */
  kl: 1e-4,
} as const;

/** The phantom's recipe for its VAE: crops of 64 pixels, 8 films' worth of pixels a step. */
export const vaeRecipe: Partial<Recipe> = {
  maxSteps: 600, batchSize: 32, accumulationSteps: 1, learningRate: 2e-3, warmupSteps: 30, finalRate: 0.02,
  betas: [0.9, 0.99], weightDecay: 1e-4, emaDecay: 0, dtype: "f32",
};

/** Training of an AutoencoderKL: L1 + 2 MSE + 1e-4 KL of a sample of its own posterior. */
export function vaeTask(gpu: Gpu, recipe: Recipe, { vae, data, crop }: VaeTask): TrainingTask {
  const { batchSize, seed } = recipe;
  const { latentChannels } = vae.config;
  const image = gpu.keep(gpu.empty([batchSize, crop, crop, 3]));
  const items = gpu.keep(gpu.empty([batchSize, 2], "u32"));
  const order = dataOrder(recipe, data.count);

  const loss = () => {
    const moments = vae.encode(image);
    const [mean, logvar] = [sliceLast(moments, 0, latentChannels), sliceLast(moments, latentChannels, 2 * latentChannels)];
    const z = latentSample(mean, logvar, normalNoise(gpu, mean.shape, { seed, stream: 0, items }), 1);
    const decoded = vae.decode(z);
    const { l1, mse, kl } = vaeLossFactors;
    const reconstruction = add(scale(l1Loss(decoded, image), l1), scale(mseLoss(decoded, image), mse));
    return add(reconstruction, scale(klLoss(mean, logvar), (kl * batchSize) / mean.size));
  };

  const fillBatch = async (position: BatchPosition) => {
    const slots = slotsOf(recipe, position);
    const images = await Promise.all(order.batch(position).map((sample) => data.read(sample)));
    const pixels = new Float32Array(image.size);
    for (const [i, whole] of images.entries()) {
      pixels.set(cropOf(whole, data.side, crop, vae.factor, drawsFor(seed, "crop", position.step, slots[i])), i * crop * crop * 3);
    }
    image.write(pixels);
    items.write(Uint32Array.from(slots.flatMap((slot) => [slot, position.step])));
  };
  return { loss, fillBatch, free: () => [image, items].forEach((tensor) => tensor.free()) };
}

/** A random square of an image, at multiples of the VAE's factor. */
function cropOf(image: Float32Array, side: number, crop: number, factor: number, random: ReturnType<typeof drawsFor>): Float32Array {
  const places = Math.floor((side - crop) / factor) + 1;
  const [left, top] = [random.integer(places) * factor, random.integer(places) * factor];
  const cut = new Float32Array(crop * crop * 3);
  for (let y = 0; y < crop; y++) cut.set(image.subarray(3 * ((top + y) * side + left), 3 * ((top + y) * side + left + crop)), 3 * y * crop);
  return cut;
}
