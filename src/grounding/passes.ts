import { UnsupportedError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Step } from "../gpu/step.ts";
import type { LatentDiffusion } from "../models/ldm.ts";
import type { KeyValues } from "../models/transformer.ts";
import { addNoise, ddimStep, latentSample } from "../ops/diffusion.ts";
import { cast, copyInto } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import type { MapSink } from "./map_sink.ts";
import type { NoiseSource } from "./noise.ts";

/** Progress of a pass, in U-Net evaluations of single items. */
export interface PassProgress {
  /** Evaluations that are done. */
  done: number;
  /** Evaluations of the whole pass. */
  total: number;
}

/** What every pass needs. */
interface PassInputs {
  ldm: LatentDiffusion;
  /** Keys and values of the texts; with guidance the last text is the unconditional one. */
  keyValues: ReadonlyMap<string, KeyValues>;
  sink: MapSink;
  noise: NoiseSource;
  /** Timesteps from noise to image. */
  timesteps: readonly number[];
  /** Weight of each timestep in the sink's sums. */
  weights: readonly number[];
  /** Most items of one U-Net evaluation. */
  batch: number;
  signal?: AbortSignal;
}

/** A map to make: which image and which text (indices). */
export interface Target {
  image: number;
  text: number;
}

/** Inputs of `groundTruthPass`. */
export interface GroundTruthInputs extends PassInputs {
  targets: readonly Target[];
  /** f32 [images, h, w, C], of the VAE. */
  mean: Tensor;
  logvar: Tensor;
  /** Number that keeps each image's noise apart from others'. */
  imageKeys: readonly number[];
}

interface GroundTruthItem extends Target {
  target: number;
  timestep: number;
}

/**
 * The paper's sampling mode (GT): at every timestep the network sees a freshly noised ground-truth latent,
 * sqrt(abar_t) z + sqrt(1 - abar_t) eps', and its output is not fed back. Timesteps are therefore independent:
 * they run in batches, conditional branch only, and nothing after the last captured softmax.
 * Timesteps that neither the sums nor the bias product read are left out.
 */
export async function* groundTruthPass(inputs: GroundTruthInputs): AsyncGenerator<PassProgress> {
  const { ldm, targets, timesteps, weights, sink } = inputs;
  const needed = timesteps.map((_, i) => i).filter((i) => weights[i] !== 0 || sink.perTimestep.size > 0);
  const items = targets.flatMap((target, t) => needed.map((timestep) => ({ ...target, target: t, timestep })));
  let step: GroundTruthStep | undefined;
  try {
    for (let done = 0; done < items.length; ) {
      inputs.signal?.throwIfAborted();
      const batch = items.slice(done, done + inputs.batch);
      if (step?.size !== batch.length) {
        step?.free();
        step = new GroundTruthStep(inputs, batch.length);
      }
      step.run(batch);
      await ldm.gpu.sync();
      done += batch.length;
      yield { done, total: items.length };
    }
  } finally {
    step?.free();
    sink.endBatch();
  }
}

/** One recorded evaluation of a batch of ground-truth items. */
class GroundTruthStep {
  readonly size: number;
  readonly #inputs: GroundTruthInputs;
  readonly #tensors: { imageOf: Tensor; textOf: Tensor; timesteps: Tensor; sqrtAlpha: Tensor; sqrtOneMinusAlpha: Tensor };
  readonly #step: Step<void>;

  constructor(inputs: GroundTruthInputs, size: number) {
    const { ldm, mean, logvar, sink, noise, keyValues } = inputs;
    const { gpu, vae, unet } = ldm;
    this.size = size;
    this.#inputs = inputs;
    sink.begin(size);
    noise.begin(size);
    const tensors = {
      imageOf: gpu.empty([size], "u32"),
      textOf: gpu.empty([size], "u32"),
      timesteps: gpu.empty([size]),
      sqrtAlpha: gpu.empty([size]),
      sqrtOneMinusAlpha: gpu.empty([size]),
    };
    this.#tensors = tensors;
    const shape = [size, ...mean.shape.slice(1)];
    this.#step = gpu.record("ground truth", () => {
      sink.restart();
      const z = latentSample(mean, logvar, noise.latent(shape), vae.config.scalingFactor, tensors.imageOf);
      const noised = addNoise(z, noise.diffusion(shape), tensors);
      unet.forward(cast(noised, ldm.dtype), tensors.timesteps, { keyValues, contextOf: tensors.textOf, sink });
    });
  }

  run(items: readonly GroundTruthItem[]): void {
    const { imageKeys, timesteps, weights, sink, noise, ldm } = this.#inputs;
    const coefficients = items.map(({ timestep }) => ldm.schedule.noiseCoefficients(timesteps[timestep]));
    this.#tensors.imageOf.write(Uint32Array.from(items, ({ image }) => image));
    this.#tensors.textOf.write(Uint32Array.from(items, ({ text }) => text));
    this.#tensors.timesteps.write(Float32Array.from(items, ({ timestep }) => timesteps[timestep]));
    this.#tensors.sqrtAlpha.write(Float32Array.from(coefficients, ({ sqrtAlpha }) => sqrtAlpha));
    this.#tensors.sqrtOneMinusAlpha.write(Float32Array.from(coefficients, ({ sqrtOneMinusAlpha }) => sqrtOneMinusAlpha));
    noise.place(items.map(({ image, timestep }) => ({ image: imageKeys[image], timestep: timesteps[timestep] })));
    sink.place(items.map(({ target, timestep }) => ({ target, timestep, weight: weights[timestep] })));
    this.#step.replay();
  }

  free(): void {
    this.#step.free();
    for (const tensor of Object.values(this.#tensors)) tensor.free();
  }
}

/** Inputs of `sampledPass`. */
export interface SampledInputs extends Omit<PassInputs, "noise"> {
  /** Text of each target. */
  texts: readonly number[];
  /** f32 [targets, h, w, C]: what sampling starts from. Read only. */
  start: Tensor;
  /** Guidance scale, with the index of the unconditional text; absent: conditional branch only. */
  guidance?: { scale: number; unconditional: number };
  /** The number of steps that the schedule was cut into. */
  steps: number;
}

/** Progress of a sampled pass, with the present latent of the running targets, f32 [B, h, w, C]: valid until resumed. */
export interface SampledProgress extends PassProgress {
  latent: Tensor;
  /** Targets that `latent` holds. */
  first: number;
  count: number;
}

/**
 * DDIM sampling (modes text, CFG and GT-1): every step feeds on the one before. Targets run side by side; with
 * guidance each takes two items, and only the conditional one is captured.
 */
export async function* sampledPass(inputs: SampledInputs): AsyncGenerator<SampledProgress> {
  const { ldm, texts, guidance, sink, timesteps } = inputs;
  const perTarget = guidance ? 2 : 1;
  const atOnce = Math.max(1, Math.floor(inputs.batch / perTarget));
  const total = texts.length * timesteps.length * perTarget;
  let done = 0;
  for (let first = 0; first < texts.length; first += atOnce) {
    const count = Math.min(atOnce, texts.length - first);
    const step = new SampledStep(inputs, first, count);
    try {
      for (const index of timesteps.keys()) {
        inputs.signal?.throwIfAborted();
        step.run(index);
        await ldm.gpu.sync();
        done += count * perTarget;
        yield { done, total, latent: step.latent, first, count };
      }
    } finally {
      step.free();
      sink.endBatch();
    }
  }
}

/** One recorded DDIM step of `count` targets. */
class SampledStep {
  readonly latent: Tensor;
  readonly #inputs: SampledInputs;
  readonly #first: number;
  readonly #count: number;
  readonly #tensors: { textOf: Tensor; timesteps: Tensor; coefficients: Tensor };
  readonly #step: Step<void>;

  constructor(inputs: SampledInputs, first: number, count: number) {
    const { ldm, texts, guidance, sink, keyValues } = inputs;
    const { gpu, unet, dtype } = ldm;
    this.#inputs = inputs;
    this.#first = first;
    this.#count = count;
    const size = guidance ? 2 * count : count;
    const itemShape = inputs.start.shape.slice(1);
    this.latent = startLatent(gpu, inputs.start, first, count);
    sink.begin(size);
    const conditional = texts.slice(first, first + count);
    const textOf = guidance ? [...conditional, ...conditional.map(() => guidance.unconditional)] : conditional;
    this.#tensors = { textOf: gpu.tensor(Uint32Array.from(textOf), [size]), timesteps: gpu.empty([size]), coefficients: gpu.empty([7]) };
    const { timesteps, coefficients } = this.#tensors;
    this.#step = gpu.record("sample", () => {
      sink.restart();
      const sample = gpu.empty([size, ...itemShape]);
      for (let copy = 0; copy < size; copy += count) copyInto(sample, this.latent, copy * (this.latent.size / count));
      const output = unet.forward(cast(sample, dtype), timesteps, { keyValues, contextOf: this.#tensors.textOf, sink });
      if (!output) throw new UnsupportedError("sampled pass", "the U-Net's whole output", "a sink that ends early", "use a sink with stopEarly: false");
      const full = cast(output, "f32");
      const guided = guidance && { unconditional: full.rows(count, size), scale: guidance.scale };
      const next = ddimStep(this.latent, guidance ? full.rows(0, count) : full, coefficients, { guided });
      copyInto(this.latent, next, 0);
    });
  }

  run(index: number): void {
    const { ldm, timesteps, weights, sink, steps, guidance } = this.#inputs;
    const timestep = timesteps[index];
    this.#tensors.timesteps.write(new Float32Array(this.#tensors.timesteps.size).fill(timestep));
    this.#tensors.coefficients.write(ldm.schedule.stepCoefficients(timestep, steps));
    const captured = Array.from({ length: this.#count }, (_, i) => ({ target: this.#first + i, timestep: index, weight: weights[index] }));
    sink.place(guidance ? [...captured, ...captured.map(() => undefined)] : captured);
    this.#step.replay();
  }

  free(): void {
    this.#step.free();
    this.latent.free();
    for (const tensor of Object.values(this.#tensors)) tensor.free();
  }
}

/** A copy of some rows of the start, which the steps overwrite. */
function startLatent(gpu: Gpu, start: Tensor, first: number, count: number): Tensor {
  const latent = gpu.empty([count, ...start.shape.slice(1)]);
  gpu.scope("start", () => copyInto(latent, start.rows(first, first + count), 0));
  return latent;
}
