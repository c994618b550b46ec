import type { Gpu } from "../gpu/gpu.ts";
import type { NoiseSource } from "../grounding/noise.ts";
import type { NoiseItem } from "../ops/diffusion.ts";
import { embedding } from "../ops/embed.ts";
import { scale } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { uploadImages } from "./context.ts";
import type { HostTensor } from "./golden_file.ts";

/** Noises that a golden gives: [rows, C, h, w] each. */
export interface NoiseTables {
  /** Of the latent sample. */
  latent: HostTensor;
  /** Of the diffusion. */
  diffusion: HostTensor;
  /** What sampled passes start from, one row; absent where none is run. */
  start?: HostTensor;
}

/** A reference's noise, so that its passes can be replayed. `rowOf` says which row of the tables belongs to an item. */
export function givenNoise(gpu: Gpu, tables: NoiseTables, rowOf: (item: NoiseItem) => number): NoiseSource {
  const onDevice = (table: HostTensor) => gpu.scope("noise", () => uploadImages(gpu, table).reshape(table.shape[0], -1));
  const [latent, diffusion] = [onDevice(tables.latent), onDevice(tables.diffusion)];
  const start = tables.start && onDevice(tables.start);
  let rows: Tensor | undefined;
  const gather = (table: Tensor, shape: readonly number[]) => gpu.scope("noise", () => embedding(rows as Tensor, table).reshape(...shape));
  const endBatch = () => {
    rows?.free();
    rows = undefined;
  };
  return {
    begin(size) {
      endBatch();
      rows = gpu.empty([size], "u32");
    },
    place: (items) => rows?.write(Uint32Array.from(items, rowOf)),
    latent: (shape) => gather(latent, shape),
    diffusion: (shape) => gather(diffusion, shape),
    start(shape) {
      if (!start) throw new TypeError("this golden gives no noise to start from");
      return gpu.scope("noise", () => scale(start, 1).reshape(...shape));
    },
    free() {
      endBatch();
      for (const table of [latent, diffusion, start]) table?.free();
    },
  };
}
