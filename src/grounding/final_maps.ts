import { type LayerMaps, minMaxNormalise, upsampledMean } from "../ops/grounding.ts";
import { sliceLast } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { type MergedBiases, interactionMeans, mergeMeans, roundingOf } from "./bias_merging.ts";
import { type MapSink, tokenSets } from "./map_sink.ts";
import { normalised, rowsOf } from "./maps.ts";
import type { GroundSettings } from "./options.ts";
import type { Target } from "./passes.ts";

/** What comes back to the host of one request. */
export interface FinalMap {
  /** [side * side], min-max normalised. */
  map: Float32Array;
  /** SSIM of the two biases, and the s of the merge, the same clipped to [0, 1]. */
  ssim?: number;
  s?: number;
  /** Maps of the single words in the order of the phrase, each min-max normalised. */
  words: Float32Array[];
}

/** The sums of a sink upsampled to the latent: f32 [targets, sets, side * side]. */
function meansOf(sink: MapSink, side: number): Tensor {
  const layers = sink.layers.map(({ name, side: native }): LayerMaps => {
    const sums = sink.sums.get(name) as Tensor;
    const [targets, sets, pixels] = sums.shape;
    return { maps: sums.reshape(targets, sets, 1, pixels), side: native };
  });
  return upsampledMean(layers, { side });
}

/** One token set's mean: f32 [targets, side * side]. */
function meanOf(means: Tensor, set: number): Tensor {
  const [targets, sets, pixels] = means.shape;
  return sliceLast(means.reshape(targets, sets * pixels), set * pixels, (set + 1) * pixels);
}

/** One token set's mean over layers and timesteps so far, as captured, not normalised: f32 [targets, side * side]. */
export function capturedMean(sink: MapSink, side: number, set: number): Tensor {
  return meanOf(meansOf(sink, side), set);
}

/** P_comb of every target from the timesteps so far. */
export async function partialMaps(sink: MapSink, side: number): Promise<Float32Array[]> {
  const { gpu } = sink;
  const comb = gpu.scope("partial", () => minMaxNormalise(capturedMean(sink, side, tokenSets.chosen)));
  const values = await comb.read();
  comb.free();
  return rowsOf(values, side * side);
}

/** Inputs of `finalMaps`: what `runPasses` captured, and how to merge it. */
export interface FinalInputs {
  sink: MapSink;
  /** P_txt of every target, [targets, T, side * side] a layer. */
  bias: LayerMaps[];
  settings: GroundSettings;
  side: number;
  targets: readonly Target[];
}

/** Merges on the device and reads back one map and two scalars a target. */
export async function finalMaps(inputs: FinalInputs): Promise<FinalMap[]> {
  const { sink, settings, side, targets } = inputs;
  const { gpu } = sink;
  const { map, similarity, words } = gpu.scope("maps", () => {
    const means = meansOf(sink, side);
    const merged = settings.merge === "none" ? undefined : merge(inputs, meanOf(means, tokenSets.chosen), settings.merge);
    return {
      map: merged?.map ?? minMaxNormalise(meanOf(means, tokenSets.chosen), { rounding: roundingOf(settings.reading) }),
      similarity: merged && { ssim: merged.ssim, s: merged.s },
      words: settings.perWord ? Array.from({ length: means.shape[1] - tokenSets.firstWord }, (_, w) => meanOf(means, tokenSets.firstWord + w)) : [],
    };
  });
  const pixels = side * side;
  const maps = rowsOf(await map.read(), pixels).map((row) => Float32Array.from(normalised(row)));
  const [ssims, s] = similarity ? [await similarity.ssim.read(), await similarity.s.read()] : [];
  const wordMaps: Float32Array[][] = [];
  for (const word of words) wordMaps.push(rowsOf(await word.read(), pixels).map((row) => Float32Array.from(normalised(row))));
  for (const tensor of [map, ...Object.values(similarity ?? {}), ...words]) tensor.free();
  return targets.map((_, i) => ({ map: maps[i], ssim: ssims?.[i], s: s?.[i], words: wordMaps.map((rows) => rows[i]) }));
}

function merge(inputs: FinalInputs, comb: Tensor, kind: Exclude<GroundSettings["merge"], "none">): MergedBiases {
  const { sink, bias, settings, side, targets } = inputs;
  const start = sink.perTimestep.get(tokenSets.start) as ReadonlyMap<string, Tensor>;
  const img = sink.layers.map(({ name, side: native }): LayerMaps => ({ maps: (start.get(name) as Tensor).reshape(targets.length, settings.steps, native * native), side: native }));
  return mergeMeans({ comb, ...interactionMeans(img, bias, side) }, { side, kind, reading: settings.reading });
}
