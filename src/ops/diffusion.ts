import {
  addNoise as addNoiseKernel,
  ddimStep as ddimStepKernel,
  latentSample as latentSampleKernel,
  latentSampleBackward,
  normalNoise as normalNoiseKernel,
} from "../generated/kernels.ts";
import { ShapeError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { differentiable, wantsGradient } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { type Float, bytesOf, check, checkShape, floatOf } from "./check.ts";
import { elementGrid } from "./grid.ts";
import { scale } from "./pointwise.ts";

/** What the noise of one batch item belongs to: the image's number and the timestep. */
export interface NoiseItem {
  /** An integer from 0 to 2^32 - 1; in training, the sample's slot in the batch. */
  image: number;
  /** An integer from 0 to 2^32 - 1; in training, the optimiser's step. */
  timestep: number;
}

/** Arguments of `normalNoise`. */
export interface NormalNoiseOptions {
  /** A safe integer >= 0. */
  seed: number;
  /** Keeps noises of different use apart under one seed: an integer below 2^32. */
  stream: number;
  /** One entry a batch item, or the u32 [B, 2] tensor of `noiseItems`, which a recorded step can be replayed with. */
  items: readonly NoiseItem[] | Tensor;
  /** Of the result. Default f32. */
  dtype?: Float;
}

/** Items as the tensor u32 [B, 2] that `normalNoise` reads. */
export function noiseItems(gpu: Gpu, items: readonly NoiseItem[]): Tensor {
  const words = items.flatMap(({ image, timestep }) => [image, timestep]);
  for (const word of words) requireInteger("noiseItems", word, 2 ** 32 - 1);
  return gpu.tensor(Uint32Array.from(words), [items.length, 2]);
}

/**
 * Standard normal noise of `shape` [B, ...itemShape]. Every value depends on seed, stream, image, timestep and its place
 * in the item alone: not on the batch nor on the item's position in it.
 */
export function normalNoise(gpu: Gpu, shape: readonly number[], options: NormalNoiseOptions): Tensor {
  const { seed, stream, dtype = "f32" } = options;
  requireInteger("normalNoise", seed, Number.MAX_SAFE_INTEGER);
  requireInteger("normalNoise", stream, 2 ** 32 - 1);
  return gpu.scope("noise", () => {
    const items = options.items instanceof Tensor ? options.items : noiseItems(gpu, options.items);
    checkShape("normalNoise", "items", items, [shape[0], 2]);
    const y = gpu.empty(shape, dtype);
    const itemSize = y.size / shape[0];
    gpu.run(normalNoiseKernel, {
      bindings: { items, y },
      params: { batches: shape[0], item_size: itemSize, stream, seed: [seed % 2 ** 32, Math.floor(seed / 2 ** 32)] },
      prelude: { T: dtype },
      grid: elementGrid(gpu, shape[0] * Math.ceil(itemSize / 4)),
      flops: 60 * y.size,
      bytes: bytesOf(items, y),
    });
    return y;
  });
}

function requireInteger(op: string, value: number, largest: number): void {
  if (!Number.isInteger(value) || value < 0 || value > largest) throw new ShapeError(op, `${value} is not an integer from 0 to ${largest}`);
}

/**
 * Checks that z [Bz, ...item] can be read for noise [B, ...item] and says how: through `itemOf` u32 [B], item by item
 * (Bz = B), or the same for all (Bz = 1).
 */
function broadcast(op: string, z: Tensor, noise: Tensor, itemOf: Tensor | undefined) {
  checkShape(op, "noise", noise, [noise.shape[0], ...z.shape.slice(1)]);
  if (itemOf) checkShape(op, "itemOf", itemOf, [noise.shape[0]]);
  else check(z.shape[0] === noise.shape[0] || z.shape[0] === 1, op, `a batch of ${z.shape[0]} does not fit a noise of ${noise.shape[0]} items; give itemOf`, z);
  return { count: noise.size, itemSize: noise.size / noise.shape[0], step: z.shape[0] === 1 ? 0 : 1 };
}

/** Arguments of `addNoise`. */
export interface AddNoiseOptions {
  /** f32 [B] */
  sqrtAlpha: Tensor;
  /** f32 [B] */
  sqrtOneMinusAlpha: Tensor;
  /** u32 [B]: which item of z each batch item takes; its values must be below z's batch. */
  itemOf?: Tensor;
}

/** sqrt(alpha_t) z + sqrt(1 - alpha_t) noise. z [Bz, ...], noise [B, ...] -> [B, ...]; Bz is B, 1, or anything with itemOf. */
export function addNoise(z: Tensor, noise: Tensor, options: AddNoiseOptions): Tensor {
  const { sqrtAlpha, sqrtOneMinusAlpha, itemOf } = options;
  const { count, itemSize, step } = broadcast("addNoise", z, noise, itemOf);
  checkShape("addNoise", "sqrtAlpha", sqrtAlpha, [noise.shape[0]]);
  checkShape("addNoise", "sqrtOneMinusAlpha", sqrtOneMinusAlpha, [noise.shape[0]]);
  const y = z.gpu.empty(noise.shape, z.dtype);
  z.gpu.run(addNoiseKernel, {
    bindings: { z, noise, sqrt_alpha: sqrtAlpha, sqrt_one_minus_alpha: sqrtOneMinusAlpha, item_of: itemOf, y },
    params: { count, item_size: itemSize, z_step: step },
    overrides: { HAS_ITEM_OF: itemOf !== undefined },
    prelude: { T: floatOf("addNoise", z) },
    grid: elementGrid(y.gpu, count),
    flops: 3 * count,
    bytes: bytesOf(noise, noise, y),
  });
  return y;
}

/**
 * A sample of the VAE's posterior, scaled: (mean + exp(logvar / 2) noise) scalingFactor, logvar clamped to [-30, 20].
 * mean, logvar [Bm, ...], noise [B, ...] -> [B, ...]; Bm is B, 1, or anything with itemOf u32 [B]. Gradients of mean and
 * logvar flow where every item is sampled once: Bm = B, without itemOf.
 */
export function latentSample(mean: Tensor, logvar: Tensor, noise: Tensor, scalingFactor: number, itemOf?: Tensor): Tensor {
  checkShape("latentSample", "logvar", logvar, mean.shape);
  const { count, itemSize, step } = broadcast("latentSample", mean, noise, itemOf);
  const y = mean.gpu.empty(noise.shape, mean.dtype);
  mean.gpu.run(latentSampleKernel, {
    bindings: { mean, logvar, noise, item_of: itemOf, y },
    params: { count, item_size: itemSize, mean_step: step, scaling_factor: scalingFactor },
    overrides: { HAS_ITEM_OF: itemOf !== undefined },
    prelude: { T: floatOf("latentSample", mean) },
    grid: elementGrid(y.gpu, count),
    flops: 10 * count,
    bytes: bytesOf(noise, noise, noise, y),
  });
  const oneEach = !itemOf && mean.shape[0] === noise.shape[0];
  check(oneEach || !wantsGradient(mean, logvar), "latentSample", "gradients need one sample of every item", mean);
  return differentiable(y, {
    inputs: { mean, logvar },
    saved: { logvar, noise },
    backward: (dy, saved, wants) => ({
      mean: wants.mean ? scale(dy, scalingFactor) : undefined,
      logvar: wants.logvar ? logvarGradient(dy, saved.logvar, saved.noise, scalingFactor) : undefined,
    }),
  });
}

function logvarGradient(dy: Tensor, logvar: Tensor, noise: Tensor, scalingFactor: number): Tensor {
  const dlogvar = dy.gpu.empty(logvar.shape, logvar.dtype);
  dy.gpu.run(latentSampleBackward, {
    bindings: { dy, logvar, noise, dlogvar },
    params: { count: dy.size, scaling_factor: scalingFactor },
    prelude: { T: floatOf("latentSample", dy) },
    grid: elementGrid(dy.gpu, dy.size),
    flops: 8 * dy.size,
    bytes: bytesOf(dy, logvar, noise, dlogvar),
  });
  return dlogvar;
}

/** Classifier-free guidance: unconditional + scale (output - unconditional). */
export interface Guidance {
  /** The network's output for the empty phrase, of x's shape. */
  unconditional: Tensor;
  /** 1 gives the output itself, 0 the unconditional one. */
  scale: number;
}

/**
 * One deterministic DDIM step from x_t to x_prev. x and modelOutput of one shape; coefficients f32 [7], the values of
 * `Schedule.stepCoefficients`: a tensor, so that a recorded step can be replayed at another timestep.
 * @param options.guided guides modelOutput first; it is taken as it is where absent
 */
export function ddimStep(x: Tensor, modelOutput: Tensor, coefficients: Tensor, options: { guided?: Guidance } = {}): Tensor {
  const { guided } = options;
  checkShape("ddimStep", "modelOutput", modelOutput, x.shape);
  checkShape("ddimStep", "coefficients", coefficients, [7]);
  if (guided) checkShape("ddimStep", "unconditional", guided.unconditional, x.shape);
  const y = x.gpu.empty(x.shape, x.dtype);
  x.gpu.run(ddimStepKernel, {
    bindings: { x, output: modelOutput, unconditional: guided?.unconditional, c: coefficients, y },
    params: { count: x.size, guidance_scale: guided?.scale ?? 1 },
    overrides: { GUIDED: guided !== undefined },
    prelude: { T: floatOf("ddimStep", x) },
    grid: elementGrid(x.gpu, x.size),
    flops: 10 * x.size,
    bytes: bytesOf(x, modelOutput, guided?.unconditional, y),
  });
  return y;
}
