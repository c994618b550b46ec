import { InputError } from "../errors.ts";
import { drawsFor } from "./draws.ts";
import { type Recipe, globalBatch } from "./recipe.ts";

/** A batch of a run: one of the batches of an optimiser step, both counted from 0. */
export interface BatchPosition {
  /** Optimiser step, from 0 to below `maxSteps`. */
  step: number;
  /** Batch within the step, from 0 to below `accumulationSteps`. */
  part: number;
}

/** The order in which samples are read: every epoch all of them once, in a random order of its own. */
export interface DataOrder {
  /** Indices of a batch's samples, one a slot. */
  batch(position: BatchPosition): number[];
}

/** The order of `count` samples. It depends on the seed and the position alone. Throws InputError where there is none. */
export function dataOrder(recipe: Recipe, count: number): DataOrder {
  if (count < 1) throw new InputError("data", "holds no sample to train on; check it with attnscope data check");
  let epoch = -1;
  let permutation: Uint32Array;
  const sampleAt = (position: number) => {
    const wanted = Math.floor(position / count);
    if (wanted !== epoch) {
      permutation = shuffled(count, recipe.seed, wanted);
      epoch = wanted;
    }
    return permutation[position % count];
  };
  return {
    batch: (position) => slotsOf(recipe, position).map((slot) => sampleAt(position.step * globalBatch(recipe) + slot)),
  };
}

/** Places of a batch's samples in the global batch. */
export function slotsOf(recipe: Recipe, { part }: BatchPosition): number[] {
  return Array.from({ length: recipe.batchSize }, (_, i) => part * recipe.batchSize + i);
}

/** The numbers below `count` in the random order of an epoch (Fisher and Yates). */
function shuffled(count: number, seed: number, epoch: number): Uint32Array {
  const random = drawsFor(seed, "order", epoch);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
