import { InputError } from "../../src/errors.ts";
import { textTable } from "../../src/profile/text_table.ts";
import { formatMs } from "../../src/profile/units.ts";
import { median } from "../../src/statistics.ts";
import { holm, leastP, rankTest } from "./rank_test.ts";
import type { FamilyResult } from "./results_file.ts";

/** A case in two runs. */
export interface CaseChange {
  name: string;
  beforeMs: number;
  afterMs: number;
  /** Time after / time before, each in yardsticks of its own round. */
  ratio: number;
  /** Of the rank test over the rounds, corrected for the number of cases. */
  p: number;
  verdict: "slower" | "faster" | "same";
}

/** What two runs say of each other. */
export interface RunComparison {
  cases: CaseChange[];
  /** Relative change that a case must exceed: what two runs of the same code differ by. */
  threshold: number;
  /** Cases that only one of the runs has. */
  missing: string[];
}

const significance = 0.05;
const leastChange = 0.05;
/** Standard deviations of the cases' changes that count as noise between runs. */
const deviations = 2;
/** Cases from which that noise can be told, and what is taken for fewer. */
const [enoughCases, fewCasesChange] = [6, 0.1];

/**
 * Compares two runs case by case. A case is slower or faster where the rank test over its rounds says so with all cases
 * taken into account, and where it changed by more than runs of the same code do: rounds of one run share a state of the
 * machine that the test does not see.
 */
export function compareRuns(before: readonly FamilyResult[], after: readonly FamilyResult[]): RunComparison {
  const later = new Map(after.map((result) => [caseName(result), result]));
  const earlier = new Map(before.map((result) => [caseName(result), result]));
  const pairs = before.flatMap((a) => {
    const b = later.get(caseName(a));
    return b ? [{ a, b, inA: inYardsticks(a), inB: inYardsticks(b) }] : [];
  });
  const changes = pairs.map(({ inA, inB }) => Math.log(median(inB) / median(inA)));
  const threshold = noiseBetweenRuns(changes);
  const p = holm(pairs.map(({ inA, inB }) => rankTest(inA, inB)));
  const cases = pairs.map(({ a, b }, i): CaseChange => {
    const isChange = p[i] < significance && Math.abs(changes[i]) > Math.log(1 + threshold);
    return { name: caseName(a), beforeMs: a.medianMs, afterMs: b.medianMs, ratio: Math.exp(changes[i]), p: p[i], verdict: isChange ? (changes[i] > 0 ? "slower" : "faster") : "same" };
  });
  const missing = [...earlier.keys(), ...later.keys()].filter((name) => !(earlier.has(name) && later.has(name)));
  return { cases, threshold, missing };
}

const caseName = ({ family, name, variant }: FamilyResult) => [family, name, variant].filter(Boolean).join(": ");

const inYardsticks = ({ roundsMs, yardstickMs }: FamilyResult) => roundsMs.map((ms, i) => ms / yardstickMs[i]);

/** Spread of the cases' changes around their median, robust against the few that did change. */
function noiseBetweenRuns(changes: readonly number[]): number {
  if (changes.length < enoughCases) return fewCasesChange;
  const middle = median(changes);
  const deviation = median(changes.map((change) => Math.abs(change - middle))) / 0.6745;
  return Math.max(leastChange, Math.exp(deviations * deviation) - 1);
}

/**
 * Refuses a comparison that could find nothing: with all cases taken into account, no difference over so few rounds is
 * significant. @throws InputError
 */
export function checkRounds(path: string, before: readonly FamilyResult[], rounds: number): void {
  if (before.length === 0) return;
  const earlier = Math.min(...before.map(({ roundsMs }) => roundsMs.length));
  const p = Math.min(1, before.length * leastP(earlier, rounds));
  if (p < significance) return;
  throw new InputError(path, `${before.length} cases of ${earlier} rounds beside ${rounds} can tell no change (p is ${p.toPrecision(2)} at best); compare fewer families, or take more rounds in both runs`);
}

/** A comparison for a terminal, the largest changes first. */
export function describeComparison({ cases, threshold, missing }: RunComparison): string {
  const sorted = [...cases].sort((a, b) => Math.abs(Math.log(b.ratio)) - Math.abs(Math.log(a.ratio)));
  const rows = sorted.map(({ name, beforeMs, afterMs, ratio, p, verdict }) => [name, formatMs(beforeMs), formatMs(afterMs), ratio.toFixed(3), p.toPrecision(2), verdict]);
  const count = (verdict: CaseChange["verdict"]) => cases.filter((of) => of.verdict === verdict).length;
  return [
    textTable(["case", "ms before", "ms after", "ratio in yardsticks", "p", "verdict"], rows, 1),
    ...missing.map((name) => `only in one of the runs: ${name}`),
    `${count("slower")} slower, ${count("faster")} faster, ${count("same")} the same; changes up to ${(100 * threshold).toFixed(0)} % are taken for noise`,
  ].join("\n");
}
