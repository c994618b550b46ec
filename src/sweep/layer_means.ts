import type { Gpu } from "../gpu/gpu.ts";
import { lastStepWeights } from "../grounding/main_pass.ts";
import type { CaptureLayer } from "../grounding/map_sink.ts";
import { type LayerMaps, mapProduct, timestepSum, upsampledMean } from "../ops/grounding.ts";
import { copyInto, scale } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";

/** What the maps of one pass can differ in without another pass, besides merge and layers. */
export interface MeansShape {
  /** Token choices. */
  tokens: number;
  /** How many of the last timesteps make P_comb, one value a map. */
  lastSteps: readonly number[];
  /** Whether the means of both biases and of their product are there, for merging. */
  biased: boolean;
}

/**
 * Means of P over timesteps, layer by layer at each layer's own side: all that maps of any token choice, last-n value,
 * merge and layer set are made of.
 */
export interface LayerMeans extends MeansShape {
  /** Pairs of film and phrase. */
  targets: number;
  /** Side of the latent. */
  side: number;
  /** f32 [sets, targets, side * side] a layer, the sets as `meanSets` orders them. */
  layers: readonly (CaptureLayer & {
    /** f32 [sets, targets, side * side], `side` being the layer's own. */
    means: Tensor;
  })[];
  /** Gives the memory of the means back. */
  free(): void;
}

/** Where each set stands in the means of a layer. */
export function meanSets({ tokens, lastSteps, biased }: MeansShape) {
  const combs = lastSteps.length * tokens;
  return {
    /** P_comb over the last timesteps of index `n`. */
    comb: (n: number, token: number) => n * tokens + token,
    /** P_img. */
    img: combs,
    /** P_txt. */
    txt: (token: number) => combs + 1 + token,
    /** P_img P_txt times (side of the latent / side of the layer): its upsampled mean is P_mult. */
    mult: (token: number) => combs + 1 + tokens + token,
    count: combs + (biased ? 1 + 2 * tokens : 0),
  };
}

/** What a pass captured in one layer, single timesteps: f32 [targets, T, side * side] each. */
export interface CapturedLayer extends CaptureLayer {
  /** The chosen tokens of each token choice. */
  chosen: readonly Tensor[];
  /** Start token of the same pass, and the chosen tokens of the pass from noise. Absent without merging. */
  biases?: { start: Tensor; txt: readonly Tensor[] };
}

/** Reduces a pass to its means. `side`: of the latent. */
export function reduceToMeans(captured: readonly CapturedLayer[], { lastSteps, side }: { lastSteps: readonly number[]; side: number }): LayerMeans {
  const [{ chosen, biases }] = captured;
  const [{ gpu, shape }] = chosen;
  const [targets, steps] = shape;
  const layers = gpu.scope("layer means", () => {
    const weights = lastSteps.map((count) => gpu.tensor(Float32Array.from(lastStepWeights(steps, count)), [steps]));
    return captured.map((layer) => ({ name: layer.name, side: layer.side, means: layerMeans(layer, weights, side) }));
  });
  return { tokens: chosen.length, lastSteps, biased: biases !== undefined, targets, side, layers, free: () => layers.forEach(({ means }) => means.free()) };
}

function layerMeans({ chosen, biases, side }: CapturedLayer, weights: readonly Tensor[], latentSide: number): Tensor {
  const mean = (maps: Tensor) => upsampledMean([{ maps, side }], { side });
  const sets = weights.flatMap((ofTimesteps) => chosen.map((maps) => timestepSum(maps, ofTimesteps)));
  if (biases) {
    const { start, txt } = biases;
    const products = txt.map((maps) => scale(mean(mapProduct(start, maps, { side })), latentSide / side));
    sets.push(mean(start), ...txt.map(mean), ...products);
  }
  return stack(sets);
}

/** Tensors of one shape behind one another: [n, ...]. */
export function stack(tensors: readonly Tensor[]): Tensor {
  const [{ gpu, shape, size }] = tensors;
  const stacked = gpu.empty([tensors.length, ...shape]);
  for (const [i, tensor] of tensors.entries()) copyInto(stacked, tensor, i * size);
  return stacked;
}

/** The means of some layers, upsampled to the latent and averaged: f32 [sets, targets, side * side]. `which`: indices of layers. */
export function meansOver({ layers, side }: LayerMeans, which: readonly number[]): Tensor {
  const maps = which.map((i): LayerMaps => {
    const { means, side: native } = layers[i];
    const [sets, targets, pixels] = means.shape;
    return { maps: means.reshape(sets, targets, 1, pixels), side: native };
  });
  return upsampledMean(maps, { side });
}

/** The means of one pair of film and phrase on the host: [sets, side * side] a layer. */
export interface TargetMeans extends MeansShape {
  /** Side of the latent. */
  side: number;
  /** In module order. */
  layers: readonly (CaptureLayer & {
    /** [sets, side * side], `side` being the layer's own. */
    values: Float32Array;
  })[];
}

/** Reads the means back, one element a pair. */
export async function readMeans(means: LayerMeans): Promise<TargetMeans[]> {
  const { tokens, lastSteps, biased, side, targets } = means;
  const values: Float32Array[] = [];
  for (const layer of means.layers) values.push(await layer.means.read());
  return Array.from({ length: targets }, (_, target) => ({
    tokens, lastSteps, biased, side,
    layers: means.layers.map(({ name, side: native }, l) => ({ name, side: native, values: rowsOf(values[l], { target, targets, pixels: native ** 2 }) })),
  }));
}

/** Of [sets, targets, pixels] the rows of one target. */
function rowsOf(values: Float32Array, { target, targets, pixels }: { target: number; targets: number; pixels: number }): Float32Array {
  const sets = values.length / (targets * pixels);
  const rows = new Float32Array(sets * pixels);
  for (let set = 0; set < sets; set++) rows.set(values.subarray((set * targets + target) * pixels, (set * targets + target + 1) * pixels), set * pixels);
  return rows;
}

/** Puts means of several pairs, all of one shape, back on the device. */
export function uploadMeans(gpu: Gpu, all: readonly TargetMeans[]): LayerMeans {
  const [first] = all;
  const { tokens, lastSteps, biased, side } = first;
  const sets = meanSets(first).count;
  const layers = first.layers.map(({ name, side: native }, l) => {
    const pixels = native ** 2;
    const values = new Float32Array(sets * all.length * pixels);
    for (const [target, { layers: ofTarget }] of all.entries()) {
      for (let set = 0; set < sets; set++) values.set(ofTarget[l].values.subarray(set * pixels, (set + 1) * pixels), (set * all.length + target) * pixels);
    }
    return { name, side: native, means: gpu.tensor(values, [sets, all.length, pixels]) };
  });
  return { tokens, lastSteps, biased, side, targets: all.length, layers, free: () => layers.forEach(({ means }) => means.free()) };
}

/** The means of one token choice and one last-n value alone: `token` is the choice's index, `last` that within `lastSteps`. */
export function pickMeans(means: TargetMeans, { token, last }: { token: number; last: number }): TargetMeans {
  const from = meanSets(means);
  const kept = [from.comb(last, token), ...(means.biased ? [from.img, from.txt(token), from.mult(token)] : [])];
  const layers = means.layers.map(({ name, side, values }) => {
    const pixels = side ** 2;
    const picked = new Float32Array(kept.length * pixels);
    for (const [i, set] of kept.entries()) picked.set(values.subarray(set * pixels, (set + 1) * pixels), i * pixels);
    return { name, side, values: picked };
  });
  return { ...means, tokens: 1, lastSteps: [means.lastSteps[last]], layers };
}
