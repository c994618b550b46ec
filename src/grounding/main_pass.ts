import type { LatentDiffusion } from "../models/ldm.ts";
import { addNoise, latentSample } from "../ops/diffusion.ts";
import { full } from "../ops/fill.ts";
import type { Tensor } from "../tensor.ts";
import type { MapSink } from "./map_sink.ts";
import type { NoiseSource } from "./noise.ts";
import type { GroundSettings } from "./options.ts";
import { type PassProgress, type SampledProgress, type Target, groundTruthPass, sampledPass } from "./passes.ts";
import type { EncodedTexts } from "./phrases.ts";

/** Moments of the latents of some images, as the VAE gives them: f32 [images, h, w, C] each. */
export interface Moments {
  mean: Tensor;
  logvar: Tensor;
}

/** Inputs of `mainPass`. */
export interface MainPassInputs {
  ldm: LatentDiffusion;
  settings: Pick<GroundSettings, "mode" | "steps" | "guidance">;
  sink: MapSink;
  noise: NoiseSource;
  texts: EncodedTexts;
  targets: readonly Target[];
  /** Needed by the modes gt and gt1. */
  moments?: Moments;
  imageKeys: readonly number[];
  /** [h, w, C] */
  latentShape: readonly number[];
  /** Weight of each timestep in the sink's sums. */
  weights: readonly number[];
  batch: number;
  signal?: AbortSignal;
}

/** Weights of timesteps that average the last `lastSteps` of `steps` (all, where there are fewer). */
export function lastStepWeights(steps: number, lastSteps: number): number[] {
  const count = Math.min(steps, lastSteps);
  return Array.from({ length: steps }, (_, i) => (i >= steps - count ? 1 / count : 0));
}

/** The pass whose attention makes the map, in any of the four modes of Table 2. Sampled modes give their latents as they arrive. */
export function mainPass(inputs: MainPassInputs): AsyncGenerator<PassProgress | SampledProgress> {
  const { ldm, settings, sink, texts, targets, moments, weights, batch, signal, noise, imageKeys } = inputs;
  const timesteps = ldm.schedule.timesteps(settings.steps);
  const shared = { ldm, sink, timesteps, weights, batch, signal, keyValues: texts.keyValues };
  if (settings.mode === "gt") return groundTruthPass({ ...shared, ...expectMoments(moments), noise, targets, imageKeys });
  const guidance = settings.mode === "text" ? undefined : { scale: settings.guidance, unconditional: texts.unconditional };
  return sampleFrom(startOf(inputs), (start) => sampledPass({ ...shared, start, guidance, steps: settings.steps, texts: targets.map(({ text }) => text) }));
}

/** Runs a sampled pass and frees what it started from. */
async function* sampleFrom(start: Tensor, pass: (start: Tensor) => AsyncGenerator<SampledProgress>): AsyncGenerator<SampledProgress> {
  try {
    yield* pass(start);
  } finally {
    start.free();
  }
}

/** What sampling starts from: Gaussian noise, or (GT-1) the image's latent noised at the last training timestep. */
function startOf({ ldm, settings, noise, targets, moments, imageKeys, latentShape }: MainPassInputs): Tensor {
  const shape = [targets.length, ...latentShape];
  // Noise alone is the same for all images: what the phrase gives without one does not depend on it.
  if (settings.mode !== "gt1") return noise.start(shape, targets.map(() => 0));
  const { mean, logvar } = expectMoments(moments);
  const timestep = ldm.schedule.trainTimesteps - 1;
  const { gpu } = ldm;
  noise.begin(targets.length);
  noise.place(targets.map(({ image }) => ({ image: imageKeys[image], timestep })));
  return gpu.scope("start", () => {
    const imageOf = gpu.tensor(Uint32Array.from(targets, ({ image }) => image), [targets.length]);
    const z = latentSample(mean, logvar, noise.latent(shape), ldm.vae.config.scalingFactor, imageOf);
    const { sqrtAlpha, sqrtOneMinusAlpha } = ldm.schedule.noiseCoefficients(timestep);
    const coefficient = (value: number) => full(gpu, [targets.length], value);
    return addNoise(z, noise.diffusion(shape), { sqrtAlpha: coefficient(sqrtAlpha), sqrtOneMinusAlpha: coefficient(sqrtOneMinusAlpha) });
  });
}

function expectMoments(moments: Moments | undefined): Moments {
  if (!moments) throw new TypeError("the modes gt and gt1 need the images' latents");
  return moments;
}
