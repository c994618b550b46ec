import { type Random, createRandom } from "../random.ts";

/** How good a set of layers is: more is better. */
export type LayerObjective = (layers: readonly number[]) => Promise<number>;

/** A set of layers that was tried, and its value. */
export interface Trial {
  /** Indices in module order, ascending; never none. */
  layers: readonly number[];
  /** -Infinity where the objective gave no finite number: no set is worse. */
  value: number;
}

/** Options of `searchLayers`. */
export interface SearchOptions {
  /** Most sets to try. Default 1000, as the authors do. */
  trials?: number;
  /** "random": every set alike. "tpe" (default): sets like the best ones so far. */
  strategy?: "tpe" | "random";
  /** The same seed and objective give the same trials. Default 0. */
  seed?: number;
  /** Ends the search before its next trial; it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Called after every trial with the best so far. */
  onTrial?: (trial: Trial, best: Trial, done: number) => void;
}

/**
 * Searches the on/off switches of a model's layers for the set of the greatest value. The first trial is all layers; no set
 * is tried twice, so that a small model is searched exhaustively. Returns the trials in order.
 */
export async function searchLayers(layerCount: number, objective: LayerObjective, options: SearchOptions = {}): Promise<Trial[]> {
  const { trials = 1000, strategy = "tpe", seed = 0, signal, onTrial } = options;
  const random = createRandom(seed);
  const tried = new Set<string>();
  const done: Trial[] = [];
  let best: Trial | undefined;
  const most = Math.min(trials, 2 ** layerCount - 1);
  for (let switches = Array<boolean>(layerCount).fill(true); ; switches = nextSwitches(done, { layerCount, strategy, random, tried })) {
    signal?.throwIfAborted();
    tried.add(switches.join());
    const layers = switches.flatMap((on, layer) => (on ? [layer] : []));
    const value = await objective(layers);
    const trial = { layers, value: Number.isFinite(value) ? value : -Infinity };
    done.push(trial);
    if (!best || trial.value > best.value) best = trial;
    onTrial?.(trial, best, done.length);
    if (done.length >= most) return done;
  }
}

interface SearchState {
  layerCount: number;
  strategy: "tpe" | "random";
  random: Random;
  tried: ReadonlySet<string>;
}

/** Trials before the first guess, candidates a guess, and the share and number of trials that count as good: Optuna's defaults. */
const parzen = { startup: 10, candidates: 24, goodShare: 0.1, mostGood: 25 };

/** A set that was not tried yet. */
function nextSwitches(done: readonly Trial[], { layerCount, strategy, random, tried }: SearchState): boolean[] {
  const isNew = (switches: readonly boolean[]) => switches.includes(true) && !tried.has(switches.join());
  const guess = strategy === "tpe" && done.length >= parzen.startup ? guessed(done, { layerCount, random, isNew }) : undefined;
  if (guess) return guess;
  for (;;) {
    const switches = Array.from({ length: layerCount }, () => random.chance(0.5));
    if (isNew(switches)) return switches;
  }
}

/**
 * The tree-structured Parzen estimator (Bergstra et al. 2011) over independent switches: of candidates drawn as the good
 * trials are distributed, the one that is likeliest under them against under the others. undefined where none is new.
 */
function guessed(done: readonly Trial[], { layerCount, random, isNew }: { layerCount: number; random: Random; isNew: (switches: readonly boolean[]) => boolean }): boolean[] | undefined {
  const ranked = [...done].sort((a, b) => Number(b.value > a.value) - Number(b.value < a.value)); // -Infinity less itself is NaN
  const count = Math.min(Math.ceil(parzen.goodShare * ranked.length), parzen.mostGood);
  const good = shareOn(ranked.slice(0, count), layerCount);
  const others = shareOn(ranked.slice(count), layerCount);
  const likelihood = (switches: readonly boolean[]) => switches.reduce((sum, on, i) => sum + Math.log(on ? good[i] / others[i] : (1 - good[i]) / (1 - others[i])), 0);
  const candidates = Array.from({ length: parzen.candidates }, () => good.map((share) => random.chance(share))).filter(isNew);
  return candidates.sort((a, b) => likelihood(b) - likelihood(a))[0];
}

/** How often each switch is on, one trial of even odds added. */
function shareOn(trials: readonly Trial[], layerCount: number): number[] {
  return Array.from({ length: layerCount }, (_, layer) => (trials.filter(({ layers }) => layers.includes(layer)).length + 0.5) / (trials.length + 1));
}
