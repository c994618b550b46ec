import type { MapChoice } from "../grounding/exploration.ts";
import { type GroundSettings, defaultSettings } from "../grounding/options.ts";

/** Everything on the page that changes what is computed or shown. */
export interface PageSettings {
  /** Needs new evaluations of the model. */
  steps: number;
  seed: number;
  mode: GroundSettings["mode"];
  tokens: "lexical" | "all";
  /** Acts at once. */
  lastSteps: number;
  merge: GroundSettings["merge"];
  /** undefined: the similarity of the two biases. */
  s?: number;
  layers: MapChoice["layers"];
  /** undefined: the middle of the two Gaussians. */
  threshold?: number;
  alpha: number;
  view: "map" | "error";
  showMask: boolean;
}

const { seed, mode, merge, layers } = defaultSettings;

/** Fewer timesteps than in a study: the map is nearly the same, and there sooner. */
export const startSettings: PageSettings = {
  steps: 20, seed, mode, tokens: "lexical",
  lastSteps: lastStepsOf(20), merge, layers,
  alpha: 0.4, view: "map", showMask: true,
};

/** The share of the timesteps that makes a map by default. */
export function lastStepsOf(steps: number): number {
  return Math.max(1, Math.round((steps * defaultSettings.lastSteps) / defaultSettings.steps));
}

/** What needs evaluations of the model. */
export function exploreOptions({ steps, seed, mode, tokens, lastSteps }: PageSettings): Partial<GroundSettings> {
  return { steps, seed, mode, tokens, lastSteps };
}

/** What does not. */
export function mapChoice({ lastSteps, merge, s, layers }: PageSettings): MapChoice {
  return { lastSteps, merge, s, layers };
}
