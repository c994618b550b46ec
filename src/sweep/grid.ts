import { InputError } from "../errors.ts";
import { type CaptureLayer } from "../grounding/map_sink.ts";
import { type GroundSettings, completeSettings, defaultSettings } from "../grounding/options.ts";

/** What a sweep varies. */
export type SweptSettings = Pick<GroundSettings, "mode" | "steps" | "tokens" | "merge" | "lastSteps" | "layers">;

/** What all settings of a sweep share. */
export type SharedSettings = Pick<GroundSettings, "guidance" | "seed" | "reading" | "batch">;

/** Layer sets: all layers together, those of each resolution, each one alone, or a list of layers. */
export type LayerSets = "all" | "resolutions" | "single" | readonly number[];

/** The values that a sweep goes through: every combination is a setting. */
export interface SweepGrid extends SharedSettings {
  /** Each takes a pass of its own over the U-Net. Default: gt. */
  modes: readonly GroundSettings["mode"][];
  /** Numbers of timesteps, 1 to 1000; each takes passes of its own. Default: 50. */
  steps: readonly number[];
  /** Default: all three. */
  tokens: readonly GroundSettings["tokens"][];
  /** Default: all four, "none" included. */
  merges: readonly GroundSettings["merge"][];
  /** Of a pass with fewer timesteps all of them are taken, once. */
  lastSteps: readonly number[];
  /** Sets that several of these give are taken once. Default: "all", "resolutions" and "single". */
  layers: readonly LayerSets[];
}

/** Everything that follows from one pass of the paper's mode. */
export const defaultGrid: SweepGrid = {
  modes: ["gt"],
  steps: [defaultSettings.steps],
  tokens: ["lexical", "disease", "all"],
  merges: ["mixture", "linear", "quadratic", "none"],
  lastSteps: [10, 20, 30, 40, 50],
  layers: ["all", "resolutions", "single"],
  guidance: defaultSettings.guidance,
  seed: defaultSettings.seed,
  reading: defaultSettings.reading,
  batch: defaultSettings.batch,
};

/** Fills in defaults, checks every value and drops repeated ones. Throws InputError naming the option. `layerCount`: of the model. */
export function completeGrid(options: Partial<SweepGrid>, layerCount: number): SweepGrid {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const grid: SweepGrid = { ...defaultGrid, ...given };
  const { guidance, seed, reading, batch } = grid;
  // `disease` is checked with each phrase's own label
  const check = (settings: Partial<GroundSettings>) => void completeSettings({ guidance, seed, reading, batch, label: "any", ...settings }, layerCount);
  const checked = <V>(option: string, values: readonly V[], settingsOf: (value: V) => Partial<GroundSettings>): V[] => {
    if (values.length === 0) throw new InputError(option, "has no value; give one at least");
    for (const value of values) check(settingsOf(value));
    return [...new Set(values)];
  };
  return {
    ...grid,
    modes: checked("--mode", grid.modes, (mode) => ({ mode })),
    steps: checked("--steps", grid.steps, (steps) => ({ steps })),
    tokens: checked("--tokens", grid.tokens, (tokens) => ({ tokens })),
    merges: checked("--merge", grid.merges, (merge) => ({ merge })),
    lastSteps: checked("--last-steps", grid.lastSteps, (lastSteps) => ({ lastSteps })),
    layers: checked("--layers", grid.layers, (layers) => (layers === "resolutions" || layers === "single" ? {} : { layers })),
  };
}

/** The distinct layer sets of a grid, each as its layers in module order. */
export function layerSetsOf(kinds: readonly LayerSets[], layers: readonly Pick<CaptureLayer, "side">[]): number[][] {
  const every = layers.map((_, i) => i);
  const sides = [...new Set(layers.map(({ side }) => side))];
  const sets = kinds.flatMap((kind) => {
    if (kind === "all") return [every];
    if (kind === "resolutions") return sides.map((side) => every.filter((i) => layers[i].side === side));
    return kind === "single" ? every.map((i) => [i]) : [[...kind].sort((a, b) => a - b)];
  });
  return [...new Map(sets.map((set) => [set.join(), set])).values()];
}

/** How many timesteps a pass of `steps` takes for each of the grid's values, each once. */
export function lastStepsOf(lastSteps: readonly number[], steps: number): number[] {
  return [...new Set(lastSteps.map((count) => Math.min(count, steps)))];
}
