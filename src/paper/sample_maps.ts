import type { Reading } from "../grounding/bias_merging.ts";
import { activationMask } from "../grounding/mask.ts";
import { normalised } from "../grounding/maps.ts";
import type { GroundSettings } from "../grounding/options.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { composeMaps } from "../sweep/compose.ts";
import { type TargetMeans, meanSets, pickMeans, uploadMeans } from "../sweep/layer_means.ts";

/** A map to draw: [side * side] in [0, 1], and its mask. */
export interface DrawnMap {
  readonly map: ArrayLike<number>;
  readonly mask: ArrayLike<number>;
  readonly side: number;
}

/** Which maps to make of the means of some samples. */
export interface DrawOptions {
  /** Indices of the token choice and of the last-n value in the means. */
  readonly token: number;
  readonly last: number;
  readonly merges: readonly GroundSettings["merge"][];
  readonly reading: Reading;
}

/** The maps of samples from their means, all layers: the U-Net does not run. -> by sample, in the order of `merges` */
export async function mapsFromMeans(gpu: Gpu, means: readonly TargetMeans[], { token, last, merges, reading }: DrawOptions): Promise<DrawnMap[][]> {
  const uploaded = uploadMeans(gpu, means.map((each) => pickMeans(each, { token, last })));
  try {
    const composed = await composeMaps(uploaded, { layers: uploaded.layers.map((_, i) => i), merges, reading });
    return means.map((_, sample) => composed.map(({ maps }) => drawn(maps[sample], uploaded.side)));
  } finally {
    uploaded.free();
  }
}

/** The map of the start token, P_img: the mean over timesteps and layers, each layer's map spread to the latent's side. */
export function startTokenMap(means: TargetMeans): DrawnMap | undefined {
  if (!means.biased) return undefined;
  const { side, layers } = means;
  const set = meanSets(means).img;
  const sum = new Float64Array(side * side);
  for (const { side: native, values } of layers) {
    const factor = side / native;
    for (let i = 0; i < sum.length; i++) {
      const [row, column] = [Math.floor(Math.floor(i / side) / factor), Math.floor((i % side) / factor)];
      sum[i] += values[set * native * native + row * native + column] / layers.length;
    }
  }
  return drawn(normalised(sum), side);
}

/** A map with the mask that it comes to. */
export function drawn(map: ArrayLike<number>, side: number): DrawnMap {
  const values = Float32Array.from(map);
  return { map: values, mask: activationMask(values, side).mask, side };
}
