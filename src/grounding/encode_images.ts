import type { LatentEncoders } from "../models/ldm.ts";
import { copyInto, sliceLast } from "../ops/pointwise.ts";
import type { Moments } from "./main_pass.ts";
import type { GroundOptions } from "./pipeline.ts";

/**
 * Moments of the latents of images [size, size, 3] that `prepareImage` made, one image at a time: the VAE's activations
 * are the largest of all.
 */
export async function encodeImages(ldm: Pick<LatentEncoders, "gpu" | "vae">, images: readonly Float32Array[], options: Pick<GroundOptions, "signal" | "onProgress"> = {}): Promise<Moments> {
  const { gpu, vae } = ldm;
  const { sampleSize, latentChannels } = vae.config;
  const side = sampleSize / vae.factor;
  const moments = gpu.empty([images.length, side, side, 2 * latentChannels]);
  try {
    for (const [i, image] of images.entries()) {
      options.signal?.throwIfAborted();
      gpu.scope("image", () => {
        const one = vae.encode(gpu.tensor(image, [1, sampleSize, sampleSize, 3]));
        copyInto(moments, one, i * one.size);
      });
      await gpu.sync();
      options.onProgress?.({ stage: "encode", done: i + 1, total: images.length });
    }
    return { mean: sliceLast(moments, 0, latentChannels), logvar: sliceLast(moments, latentChannels, 2 * latentChannels) };
  } finally {
    moments.free();
  }
}
