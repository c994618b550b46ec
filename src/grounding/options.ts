import { InputError } from "../errors.ts";
import type { MergeKind } from "../ops/grounding.ts";
import type { Reading } from "./bias_merging.ts";

/** How the network is sampled while its attention is read (Table 2 of the paper). */
export type Mode = "gt" | "gt1" | "cfg" | "text";

/** Settings of a grounding; the defaults are the paper's. */
export interface GroundSettings {
  /** gt: the noised image at every timestep (the paper's method). gt1: at the first only. cfg, text: from noise, with and without guidance. */
  mode: Mode;
  /** Timesteps T. */
  steps: number;
  /** How many of the last timesteps make P_comb. */
  lastSteps: number;
  /** Which tokens stand for the phrase: its adjectives, nouns and verbs, or the words of the disease `label`; all where there are none. */
  tokens: "lexical" | "disease" | "all";
  /** The disease of `tokens: "disease"`. */
  label?: string;
  /** How the biases are merged (eq. 2 to 4 of the paper); "none": P_comb alone, without a pass for the text bias. */
  merge: MergeKind | "none";
  /** Cross-attention layers in module order, or all. */
  layers: "all" | readonly number[];
  /** Guidance scale of the modes cfg and gt1 and of the text bias. */
  guidance: number;
  /** All noise follows from it: an integer from 0 to `Number.MAX_SAFE_INTEGER`. */
  seed: number;
  /** The formulas of the paper, or what the published code computes. */
  reading: Reading;
  /** Also make a map of every word. */
  perWord: boolean;
  /** Items of one U-Net evaluation; "auto" fills the device. The result does not depend on it. */
  batch: "auto" | number;
}

/** The settings of the paper. */
export const defaultSettings: GroundSettings = {
  mode: "gt",
  steps: 50,
  lastSteps: 40,
  tokens: "lexical",
  merge: "mixture",
  layers: "all",
  guidance: 16,
  seed: 4200,
  reading: "paper",
  perWord: false,
  batch: "auto",
};

const choices = {
  mode: ["gt", "gt1", "cfg", "text"],
  tokens: ["lexical", "disease", "all"],
  merge: ["mixture", "linear", "quadratic", "none"],
  reading: ["paper", "compat"],
} as const;

/** Fills in defaults, checks every setting and leaves out what is none. Throws InputError naming the option. `layerCount`: of the model. */
export function completeSettings(options: Partial<GroundSettings>, layerCount: number): GroundSettings {
  const names = [...Object.keys(defaultSettings), "label"];
  const given = Object.fromEntries(Object.entries(options).filter(([name, value]) => names.includes(name) && value !== undefined));
  const settings: GroundSettings = { ...defaultSettings, ...given };
  for (const [name, values] of Object.entries(choices)) {
    const value = settings[name as keyof typeof choices];
    if (!(values as readonly string[]).includes(value)) throw new InputError(`--${name}`, `${JSON.stringify(value)} is not one of ${values.join(", ")}`);
  }
  integer("--steps", settings.steps, 1, 1000);
  integer("--last-steps", settings.lastSteps, 1, 1000);
  integer("--seed", settings.seed, 0, Number.MAX_SAFE_INTEGER);
  if (settings.batch !== "auto") integer("--batch", settings.batch, 1, 4096);
  if (!(Number.isFinite(settings.guidance) && settings.guidance >= 0)) throw new InputError("--guidance", `${settings.guidance} is not a number from 0 on`);
  if (settings.tokens === "disease" && !settings.label) throw new InputError("--label", "is needed by --tokens disease: name the disease, for example \"Pleural Effusion\"");
  if (settings.layers !== "all") checkLayers(settings.layers, layerCount);
  return settings;
}

function checkLayers(layers: readonly number[], count: number): void {
  if (layers.length === 0) throw new InputError("--layers", "names no layer; give all, or numbers such as 0,3");
  for (const layer of layers) integer("--layers", layer, 0, count - 1);
  if (new Set(layers).size !== layers.length) throw new InputError("--layers", `${layers.join(",")} names a layer twice`);
}

function integer(option: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) throw new InputError(option, `${value} is not an integer from ${least} to ${most}`);
}
