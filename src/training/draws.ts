import { type Random, createRandom } from "../random.ts";
import { alternatives } from "../text/captions.ts";
import type { Recipe } from "./recipe.ts";

// Whatever is random in training is a function of the seed, what it is for, the optimiser step and the sample's slot in
// the global batch: a run that goes on after a crash draws what it would have drawn.

/** What draws are for, and the number that keeps them apart. */
const purposes = { order: 0, timestep: 1, textDrop: 2, alternative: 3, crop: 4, mask: 5 } as const;

/** The random numbers of one purpose for one sample of one step. */
export function drawsFor(seed: number, purpose: keyof typeof purposes, step: number, slot = 0): Random {
  return createRandom(seed, purposes[purpose], step, slot);
}

/** A training timestep in [0, `count`): uniform, or count Beta(a, b). */
export function drawTimestep(recipe: Pick<Recipe, "seed" | "timesteps">, count: number, step: number, slot: number): number {
  const random = drawsFor(recipe.seed, "timestep", step, slot);
  return recipe.timesteps === "uniform" ? random.integer(count) : Math.min(count - 1, Math.floor(count * drawBeta(random, ...recipe.timesteps)));
}

/** A number of the Beta distribution (Jöhnk 1964): made for parameters of a few units. */
function drawBeta(random: Random, a: number, b: number): number {
  for (;;) {
    const x = random.uniform(0, 1) ** (1 / a);
    const y = random.uniform(0, 1) ** (1 / b);
    if (x + y > 0 && x + y <= 1) return x / (x + y);
  }
}

/** Which of a caption's `count` texts this step reads; undefined where it reads the empty text. */
export function drawTextIndex(recipe: Pick<Recipe, "seed" | "textDrop">, count: number, step: number, slot: number): number | undefined {
  if (count === 0 || drawsFor(recipe.seed, "textDrop", step, slot).chance(recipe.textDrop)) return undefined;
  return drawsFor(recipe.seed, "alternative", step, slot).integer(count);
}

/** The text that this step reads of a caption with `|`: one of its alternatives, or the empty text. */
export function drawText(recipe: Pick<Recipe, "seed" | "textDrop">, caption: string, step: number, slot: number): string {
  const texts = alternatives(caption);
  const index = drawTextIndex(recipe, texts.length, step, slot);
  return index === undefined ? "" : texts[index];
}
