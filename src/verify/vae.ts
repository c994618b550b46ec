import { AutoencoderKL, readVaeConfig } from "../models/vae.ts";
import { sliceLast, toChannelsFirst } from "../ops/pointwise.ts";
import { outputBound } from "./bounds.ts";
import { type Golden, type VerifyContext, onDevice, uploadImages, withModel } from "./context.ts";
import { type GoldenFile, type HostTensor, readGoldenFile } from "./golden_file.ts";
import { type Part, relativePart } from "./parts.ts";

/** tiny_ldm's VAE: moments of an image, image of a latent. */
export const vaeGolden: Golden = {
  name: "vae",
  paths: ["vae.safetensors"],
  async run(context, path) {
    const golden = await readGoldenFile(context.folder, path);
    const build = (...config: Parameters<typeof readVaeConfig>) => new AutoencoderKL(readVaeConfig(...config));
    return withModel(context, "tiny_ldm/vae", build, () => ({}), (vae) => vaeParts(context, golden, vae));
  },
};

/** Encodes `in.image` and decodes `in.latent`. */
export async function vaeParts({ gpu }: VerifyContext, golden: GoldenFile, vae: AutoencoderKL): Promise<Part[]> {
  const { latentChannels } = vae.config;
  const encoded = await onDevice(gpu, () => {
    const moments = vae.encode(uploadImages(gpu, golden.tensor("in.image")));
    return { mean: toChannelsFirst(sliceLast(moments, 0, latentChannels)), logvar: toChannelsFirst(sliceLast(moments, latentChannels, 2 * latentChannels)) };
  });
  const { decoded } = await onDevice(gpu, () => ({ decoded: toChannelsFirst(vae.decode(uploadImages(gpu, golden.tensor("in.latent")))) }));
  return [...momentParts(encoded, { mean: golden.tensor("out.mean"), logvar: golden.tensor("out.logvar") }), relativePart("decoded", decoded.data, golden.tensor("out.decoded").data, outputBound)];
}

/** Moments [B, C, h, w] of latents. */
export type HostMoments = Record<"mean" | "logvar", HostTensor>;

/** Compares moments as the VAE gives them with those of a golden, whose log-variances are clamped. */
export function momentParts({ mean, logvar }: HostMoments, golden: HostMoments): Part[] {
  const clamped = logvar.data.map((value) => Math.min(20, Math.max(-30, value)));
  return [relativePart("mean", mean.data, golden.mean.data, outputBound), relativePart("logvar", clamped, golden.logvar.data, outputBound)];
}
