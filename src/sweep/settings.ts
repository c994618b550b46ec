import type { CaptureLayer } from "../grounding/map_sink.ts";
import { defaultSettings } from "../grounding/options.ts";
import { type SweepGrid, type SweptSettings, lastStepsOf, layerSetsOf } from "./grid.ts";

/** What a sweep varies, in the order of its tables. */
export const sweptOptions = ["mode", "steps", "tokens", "merge", "lastSteps", "layers"] as const;
export type SweptOption = (typeof sweptOptions)[number];

/** Every setting of a grid, in the order in which a sweep makes them. `layers`: of the model. */
export function settingsOf(grid: Omit<SweepGrid, "batch">, layers: readonly Pick<CaptureLayer, "side">[]): SweptSettings[] {
  const passes = grid.steps.flatMap((steps) => grid.modes.map((mode) => ({ mode, steps })));
  const sets = layerSetsOf(grid.layers, layers).map((set) => namedSet(set, layers.length));
  return passes.flatMap(({ mode, steps }) =>
    sets.flatMap((set) =>
      grid.tokens.flatMap((tokens) => lastStepsOf(grid.lastSteps, steps).flatMap((lastSteps) => grid.merges.map((merge) => ({ mode, steps, tokens, merge, lastSteps, layers: set })))),
    ),
  );
}

/** Layers as a setting names them. */
export function namedSet(layers: readonly number[], layerCount: number): SweptSettings["layers"] {
  return layers.length === layerCount ? "all" : layers;
}

/** What tells a setting from others. */
export function settingKey(settings: SweptSettings): string {
  return JSON.stringify(sweptOptions.map((option) => settings[option]));
}

/** The setting that others are compared with: of every option the default where it is there, else the first value. */
export function baseOf(settings: readonly SweptSettings[]): SweptSettings {
  let possible = settings;
  for (const option of sweptOptions) {
    const usual = option === "lastSteps" ? Math.min(defaultSettings.lastSteps, possible[0].steps) : defaultSettings[option];
    const isThere = possible.some((other) => same(other[option], usual));
    const value = isThere ? usual : possible[0][option];
    possible = possible.filter((other) => same(other[option], value));
  }
  return possible[0];
}

/** The settings that differ from the base in one option alone, the base among them. */
export function variants(settings: readonly SweptSettings[], base: SweptSettings, varied: SweptOption): SweptSettings[] {
  return settings.filter((other) =>
    sweptOptions.every((option) => {
      if (option === varied) return true;
      // fewer timesteps than the base's last n: all of them
      return same(other[option], option === "lastSteps" ? Math.min(base.lastSteps, other.steps) : base[option]);
    }),
  );
}

const same = (a: SweptSettings[SweptOption], b: SweptSettings[SweptOption]) => String(a) === String(b);
