import { median } from "../statistics.ts";
import type { Measures } from "./measures.ts";
import type { CallMeasures, SavedProfile } from "./saved_profile.ts";

/** Whether a time changed by more than chance and the machine account for. */
export type Verdict = "faster" | "slower" | "same" | "new" | "gone";

/** A kernel or a scope in one of two profiles. */
export interface Side extends Pick<Measures, "calls" | "ms" | "gflops"> {
  /** Milliseconds if every call took the median of its kind: what a moment's load of the machine does not move. */
  typicalMs: number;
  /** Standard error of `typicalMs`, from the spread of the calls. */
  errorMs: number;
}

/** A kernel or a scope in two profiles. */
export interface Difference {
  name: string;
  before?: Side;
  after?: Side;
  /** Typical milliseconds: after less before. */
  differenceMs: number;
  /** Milliseconds by which that may differ by chance. */
  noiseMs: number;
  verdict: Verdict;
  /** Of a kernel: whether other WGSL ran. */
  sourceChanged: boolean;
}

/** What the machine did to all kernels of the later profile. */
export interface Drift {
  /** Median over the kernels of time after / time before. */
  ratio: number;
  /** How far kernels lie from it, as a part: a robust standard deviation. */
  scatter: number;
}

/** Two profiles side by side; in each list, the largest differences come first. */
export interface Comparison {
  files: [before: string, after: string];
  before: ProfileFacts;
  after: ProfileFacts;
  drift: Drift;
  /** What the reader must know. */
  notes: string[];
  kernels: Difference[];
  scopes: Difference[];
}

/** The part of a profile that is compared as a whole. */
export type ProfileFacts = Pick<SavedProfile, "version" | "work" | "device" | "quantumNs" | "roofs" | "wall" | "host" | "gpu" | "total"> & { peakBytes: number };

/**
 * Compares two profiles by kernel and by scope. Runs at different times differ by what the machine did, too: the verdicts
 * on runs of the same work allow for what happened to all kernels alike, and for how unevenly it did.
 */
export function compareProfiles(before: SavedProfile, after: SavedProfile, files: [before: string, after: string]): Comparison {
  const changed = changedSettings(before, after);
  const [kernelsBefore, kernelsAfter] = [before, after].map(kernelSides);
  const [scopesBefore, scopesAfter] = [before, after].map(scopeSides);
  const drift = changed.length === 0 ? driftOf(kernelsBefore, kernelsAfter) : { ratio: 1, scatter: 0 };
  const compared = (name: string, a: Side | undefined, b: Side | undefined, sourceChanged = false): Difference => {
    const noiseMs = noiseOf(a, b, drift);
    return { name, before: a, after: b, differenceMs: (b?.typicalMs ?? 0) - (a?.typicalMs ?? 0), noiseMs, verdict: verdictOf(a, b, drift, noiseMs), sourceChanged };
  };
  const largestFirst = (a: Difference, b: Difference) => Math.abs(b.differenceMs) - Math.abs(a.differenceMs);
  const kernels = union(kernelsBefore, kernelsAfter).map((name) => compared(name, kernelsBefore.get(name), kernelsAfter.get(name), sourcesOf(before, name) !== sourcesOf(after, name)));
  const scopes = union(scopesBefore, scopesAfter).map((name) => compared(name, scopesBefore.get(name), scopesAfter.get(name)));
  return {
    files,
    before: factsOf(before),
    after: factsOf(after),
    drift,
    notes: [...changed, ...notesOf(before, after, drift)],
    kernels: kernels.sort(largestFirst),
    scopes: scopes.sort(largestFirst),
  };
}

/** Half the distance of the quartiles of a normal distribution, in standard deviations; and the standard error of a median, in those of a mean. */
const [quartile, medianError] = [0.6745, 1.2533];
/** Standard errors beyond which a difference counts. */
const errors = 2;
/** Changes below this part never count. */
const leastChange = 0.03;

function sideOf({ calls, ms, gflops }: Measures, parts: readonly CallMeasures[]): Side {
  const typicalMs = parts.reduce((sum, part) => sum + part.calls * part.medianMs, 0);
  const variance = parts.reduce((sum, part) => sum + part.calls * ((medianError * part.spreadMs) / quartile) ** 2, 0);
  return { calls, ms, gflops, typicalMs, errorMs: Math.sqrt(variance) };
}

function kernelSides({ kernels, calls }: SavedProfile): Map<string, Side> {
  return new Map(kernels.map((kernel) => [kernel.kernel, sideOf(kernel, calls.filter((call) => call.kernel === kernel.kernel))]));
}

function scopeSides({ scopes, calls }: SavedProfile): Map<string, Side> {
  return new Map(scopes.map((of) => [of.scope, sideOf(of, calls.filter(({ scope }) => scope === of.scope || scope.startsWith(`${of.scope}/`)))]));
}

const union = (a: ReadonlyMap<string, Side>, b: ReadonlyMap<string, Side>) => [...new Set([...a.keys(), ...b.keys()])];

function noiseOf(a: Side | undefined, b: Side | undefined, { ratio, scatter }: Drift): number {
  const expected = (a?.typicalMs ?? 0) * ratio;
  return errors * Math.hypot((a?.errorMs ?? 0) * ratio, b?.errorMs ?? 0, scatter * expected);
}

function verdictOf(a: Side | undefined, b: Side | undefined, { ratio }: Drift, noiseMs: number): Verdict {
  if (!a) return "new";
  if (!b) return "gone";
  const expected = a.typicalMs * ratio;
  const excess = b.typicalMs - expected;
  if (Math.abs(excess) <= Math.max(noiseMs, leastChange * expected)) return "same";
  return excess > 0 ? "slower" : "faster";
}

function driftOf(before: ReadonlyMap<string, Side>, after: ReadonlyMap<string, Side>): Drift {
  const logs = [...before].flatMap(([name, { typicalMs }]) => {
    const later = after.get(name)?.typicalMs ?? 0;
    return typicalMs > 0 && later > 0 ? [Math.log(later / typicalMs)] : [];
  });
  const middle = median(logs);
  return { ratio: Math.exp(middle), scatter: median(logs.map((value) => Math.abs(value - middle))) / quartile };
}

function sourcesOf({ kernels, wgsl }: SavedProfile, name: string): string {
  const variants = kernels.find(({ kernel }) => kernel === name)?.variants ?? [];
  return [...new Set(variants.map(({ source }) => wgsl[source]))].sort().join("\n");
}

function factsOf({ version, work, device, quantumNs, roofs, wall, host, gpu, total, memory }: SavedProfile): ProfileFacts {
  return { version, work, device, quantumNs, roofs, wall, host, gpu, total, peakBytes: memory.peak.bytes };
}

/** What makes the two runs different work, a sentence each. */
function changedSettings(before: SavedProfile, after: SavedProfile): string[] {
  const settings = ({ work, device }: SavedProfile): Record<string, string | number> => ({ work: work.what, model: work.model, ...work.settings, adapter: device.adapter, driver: device.driver });
  const [a, b] = [settings(before), settings(after)];
  return Object.keys({ ...a, ...b }).filter((name) => a[name] !== b[name]).map((name) => `${name} differs: ${a[name] ?? "none"} before, ${b[name] ?? "none"} after`);
}

function notesOf(before: SavedProfile, after: SavedProfile, { ratio, scatter }: Drift): string[] {
  const untimed = [before, after].some(({ total }) => total.ms === 0);
  const drifted = Math.abs(ratio - 1) > leastChange || scatter > leastChange;
  return [
    ...(untimed ? ["one of the profiles has no times: its device has no timestamps"] : []),
    ...(drifted ? [`at the median, kernels took ${ratio.toFixed(2)} times as long after as before, give or take ${(100 * scatter).toFixed(0)} %: that is the machine, and the verdicts allow for it`] : []),
  ];
}
