import { type Reading, biasInteraction, roundingOf } from "../grounding/bias_merging.ts";
import { normalised } from "../grounding/maps.ts";
import type { GroundSettings } from "../grounding/options.ts";
import { type MergeKind, mergeMaps, minMaxNormalise } from "../ops/grounding.ts";
import { sliceLast } from "../ops/pointwise.ts";
import type { Tensor } from "../tensor.ts";
import { type LayerMeans, meanSets, meansOver, stack } from "./layer_means.ts";

/** Which maps to make of the means of a pass. */
export interface ComposeOptions {
  /** Indices of layers. */
  layers: readonly number[];
  merges: readonly GroundSettings["merge"][];
  reading: Reading;
}

/** The maps of one setting, for every pair of film and phrase. */
export interface ComposedMaps {
  /** Indices of the token choice and of the last-n value. */
  token: number;
  last: number;
  merge: GroundSettings["merge"];
  /** [side * side] in [0, 1] each. */
  maps: Float32Array[];
  /** SSIM of the biases and the s of the merge; absent without one. */
  similarity?: { ssim: Float32Array; s: Float32Array };
}

/** What is on the device of a composition. */
interface Recorded {
  /** [settings, targets, side * side] */
  maps: Tensor;
  /** [token choices, targets] each. */
  ssim?: Tensor;
  s?: Tensor;
}

/** Makes the maps of one layer set: of every token choice, last-n value and merge. Their bytes come back in one piece. */
export async function composeMaps(means: LayerMeans, { layers, merges, reading }: ComposeOptions): Promise<ComposedMaps[]> {
  const { gpu } = means.layers[0].means;
  const { targets, side, lastSteps } = means;
  const order: Pick<ComposedMaps, "token" | "last" | "merge">[] = [];
  const recorded = gpu.scope("compose", (): Recorded => {
    const over = meansOver(means, layers);
    const at = meanSets(means);
    const setAt = (set: number) => setOf(over, set);
    const interactions = merges.some((merge) => merge !== "none")
      ? Array.from({ length: means.tokens }, (_, token) => biasInteraction({ img: setAt(at.img), txt: setAt(at.txt(token)), mult: setAt(at.mult(token)) }, { side, reading }))
      : [];
    const maps: Tensor[] = [];
    for (let token = 0; token < means.tokens; token++) {
      for (const last of lastSteps.keys()) {
        const comb = minMaxNormalise(setAt(at.comb(last, token)), { rounding: roundingOf(reading) });
        for (const merge of merges) {
          maps.push(merge === "none" ? comb : merged(comb, interactions[token], merge, reading));
          order.push({ token, last, merge });
        }
      }
    }
    return { maps: stack(maps), ssim: stackOf(interactions.map(({ ssim }) => ssim)), s: stackOf(interactions.map(({ s }) => s)) };
  });
  const values = await recorded.maps.read();
  const [ssim, s] = [await recorded.ssim?.read(), await recorded.s?.read()];
  for (const tensor of Object.values(recorded) as (Tensor | undefined)[]) tensor?.free();
  const row = (all: Float32Array, i: number, length: number) => all.subarray(i * length, (i + 1) * length);
  return order.map((setting, i) => ({
    ...setting,
    maps: Array.from({ length: targets }, (_, target) => Float32Array.from(normalised(row(values, i * targets + target, side ** 2)))),
    similarity: setting.merge !== "none" && ssim && s ? { ssim: row(ssim, setting.token, targets), s: row(s, setting.token, targets) } : undefined,
  }));
}

function merged(comb: Tensor, { mult, s }: { mult: Tensor; s: Tensor }, kind: MergeKind, reading: Reading): Tensor {
  return mergeMaps(comb, mult, s, { kind, rounding: roundingOf(reading) });
}

function stackOf(tensors: readonly Tensor[]): Tensor | undefined {
  return tensors.length > 0 ? stack(tensors) : undefined;
}

/** One set's maps of [sets, targets, pixels]: [targets, pixels]. A copy, since views must start at multiples of 256 bytes. */
function setOf(over: Tensor, set: number): Tensor {
  const [, targets, pixels] = over.shape;
  const size = targets * pixels;
  return sliceLast(over.reshape(1, over.size), set * size, (set + 1) * size).reshape(targets, pixels);
}
