import type { Gpu } from "../gpu/gpu.ts";
import { type NoiseItem, normalNoise } from "../ops/diffusion.ts";
import type { Tensor } from "../tensor.ts";

/** Where a pass takes its noise from. Ground-truth passes call begin, place and the two makers; sampled ones `start`. */
export interface NoiseSource {
  /** Prepares for batches of `size` items, before a forward pass is recorded. */
  begin(size: number): void;
  /** Says whose noise the next batch takes. */
  place(items: readonly NoiseItem[]): void;
  /** Noise of the latent sample, f32 [B, h, w, C]; called while recording. */
  latent(shape: readonly number[]): Tensor;
  /** Noise of the diffusion, f32 [B, h, w, C]; called while recording. */
  diffusion(shape: readonly number[]): Tensor;
  /** Noise that a sampled pass starts from, f32 [B, h, w, C]; `images` are image numbers, one an item. */
  start(shape: readonly number[], images: readonly number[]): Tensor;
  free(): void;
}

/** Uses of noise under one seed; each is a stream of its own. */
const streams = { latent: 0, diffusion: 1, start: 2 } as const;

/** Counter-based noise: a value depends on seed, image, timestep and element only. */
export class SeededNoise implements NoiseSource {
  readonly #gpu: Gpu;
  readonly #seed: number;
  #items: Tensor | undefined;

  constructor(gpu: Gpu, seed: number) {
    this.#gpu = gpu;
    this.#seed = seed;
  }

  begin(size: number): void {
    this.free();
    this.#items = this.#gpu.empty([size, 2], "u32");
  }

  place(items: readonly NoiseItem[]): void {
    this.#items?.write(Uint32Array.from(items.flatMap(({ image, timestep }) => [image, timestep])));
  }

  latent(shape: readonly number[]): Tensor {
    return this.#make(shape, streams.latent);
  }

  diffusion(shape: readonly number[]): Tensor {
    return this.#make(shape, streams.diffusion);
  }

  start(shape: readonly number[], images: readonly number[]): Tensor {
    return normalNoise(this.#gpu, shape, { seed: this.#seed, stream: streams.start, items: images.map((image) => ({ image, timestep: 0 })) });
  }

  #make(shape: readonly number[], stream: number): Tensor {
    return normalNoise(this.#gpu, shape, { seed: this.#seed, stream, items: this.#items as Tensor });
  }

  free(): void {
    this.#items?.free();
    this.#items = undefined;
  }
}
