import type { MetricName } from "../eval/row.ts";
import { type Estimate, type SummaryOptions, summariseAll } from "../eval/summary.ts";
import type { Mode } from "../grounding/options.ts";
import type { SweptSettings } from "../sweep/grid.ts";
import { type MeasuredRow, type SweptRun, rowsWhere } from "./measured.ts";
import { type PairedDifference, pairedDifference } from "./paired.ts";
import { OWN_ENCODER, WEIGHTED, encoders, publishedGroups, samplingNames, table2, table3 } from "./published.ts";

/** What the paper says of two methods in one metric. */
export interface Claim {
  readonly first: Method;
  readonly second: Method;
  readonly metric: MetricName;
  /** The paper's values; where it gives none, it says that the first is better. */
  readonly paper?: { readonly first: number; readonly second: number };
  /** Where the paper says so. */
  readonly where: string;
}

/** A method of the paper, as a setting of a sweep. */
export interface Method {
  readonly name: string;
  readonly settings: Partial<SweptSettings>;
}

/** Whether the data agree with an expectation: `open` where the interval of the difference holds 0. */
export type Verdict = "agrees" | "disagrees" | "open";

/** A claim and what the data say of it. */
export interface JudgedClaim extends Claim {
  /** Means over all samples. */
  readonly here: { readonly first: number; readonly second: number };
  /** First less second, over the same samples. */
  readonly difference: Estimate;
  readonly verdict: Verdict;
  /** Findings in which the difference goes against the paper, its interval without 0. */
  readonly against: readonly { readonly label: string; readonly difference: Estimate }[];
}

/** The names of the metrics for people. */
export const shownMetrics: Partial<Record<MetricName, string>> = { miou: "mIoU", top1: "Top-1", aucRoc: "AUC-ROC", cnr: "CNR" };

// --- what the paper claims -------------------------------------------------------------------------------------------

const table2Metrics = ["miou", "top1", "aucRoc", "cnr"] as const;
const table3Metrics = ["miou", "cnr"] as const;

/** Table 2: GT + CFG against the other ways to sample, without merging. */
function samplingClaims(): Claim[] {
  const own = encoders.indexOf(OWN_ENCODER);
  const method = (mode: Mode): Method => ({ name: samplingNames[mode], settings: { mode, tokens: "lexical", merge: "none" } });
  return (["gt1", "cfg", "text"] as const).flatMap((mode) =>
    table2Metrics.map((metric, m): Claim => ({ first: method("gt"), second: method(mode), metric, paper: { first: table2.gt[own][m], second: table2[mode][own][m] }, where: "table 2" })),
  );
}

/** The rows of Table 3, and all tokens, of which the paper has no numbers. */
export const processings: readonly (Method & { readonly published?: keyof typeof table3 })[] = [
  { name: "Disease filtering", published: "Disease filtering", settings: { mode: "gt", tokens: "disease", merge: "none" } },
  { name: "Lexical filtering", published: "Lexical filtering", settings: { mode: "gt", tokens: "lexical", merge: "none" } },
  { name: "All tokens", settings: { mode: "gt", tokens: "all", merge: "none" } },
  { name: "Linear Bézier", published: "Linear Bézier", settings: { mode: "gt", tokens: "lexical", merge: "linear" } },
  { name: "Quadratic Bézier", published: "Quadratic Bézier", settings: { mode: "gt", tokens: "lexical", merge: "quadratic" } },
  { name: "Mixture Bézier", published: "Mixture Bézier", settings: { mode: "gt", tokens: "lexical", merge: "mixture" } },
];

/** Table 3: the mixture against other merges and none, lexical filtering against disease filtering and all tokens. */
function processingClaims(): Claim[] {
  const average = publishedGroups.indexOf(WEIGHTED);
  const named = (name: string) => processings.find((each) => each.name === name) as (typeof processings)[number];
  const claim = (first: string, second: string): Claim[] =>
    table3Metrics.map((metric, m) => {
      const [a, b] = [named(first), named(second)];
      const value = (of: typeof a) => (of.published ? table3[of.published][average][m][0] : undefined);
      const [x, y] = [value(a), value(b)];
      return { first: a, second: b, metric, where: x === undefined || y === undefined ? "section 2.2, without numbers" : "table 3", ...(x === undefined || y === undefined ? {} : { paper: { first: x, second: y } }) };
    });
  return [
    ...["Lexical filtering", "Linear Bézier", "Quadratic Bézier"].flatMap((other) => claim("Mixture Bézier", other)),
    ...["Disease filtering", "All tokens"].flatMap((other) => claim("Lexical filtering", other)),
  ];
}

/** The orderings of the paper that a sweep over modes, token choices and merges can be held against. */
export const paperClaims: readonly Claim[] = [...samplingClaims(), ...processingClaims()];

// --- what the data say -----------------------------------------------------------------------------------------------

/** Judges the paper's orderings by paired differences. A method that was not swept is an error. */
export function judgeClaims(run: SweptRun, claims: readonly Claim[] = paperClaims, options: SummaryOptions = {}): JudgedClaim[] {
  const differences = new Map<string, { difference: PairedDifference; first: readonly MeasuredRow[]; second: readonly MeasuredRow[] }>();
  return claims.flatMap((claim) => {
    const { first, second, metric } = claim;
    const pair = `${first.name} ${second.name}`;
    if (!differences.has(pair)) {
      const [a, b] = [rowsWhere(run, first.settings), rowsWhere(run, second.settings)];
      const difference = pairedDifference(a, b, options);
      if (difference) differences.set(pair, { difference, first: a, second: b });
    }
    const found = differences.get(pair);
    const estimate = found?.difference.all.metrics[metric];
    if (!found || !estimate) return [];
    const expected = expectedSign(claim);
    const against = found.difference.diseases.flatMap(({ group, metrics }) => {
      const ofGroup = metrics[metric];
      return ofGroup && verdictOf(ofGroup, expected) === "disagrees" ? [{ label: group, difference: ofGroup }] : [];
    });
    return [{ ...claim, here: { first: meanOf(found.first, metric), second: meanOf(found.second, metric) }, difference: estimate, verdict: verdictOf(estimate, expected), against }];
  });
}

/** 1, -1, or 0 where the paper has the same value for both. */
function expectedSign({ paper }: Claim): number {
  return paper ? Math.sign(paper.first - paper.second) : 1;
}

/** Whether a difference has the sign that was expected. */
export function verdictOf({ low, high }: Estimate, expected: number): Verdict {
  const holdsZero = low <= 0 && high >= 0;
  if (expected === 0) return holdsZero ? "agrees" : "disagrees";
  if (holdsZero) return "open";
  return Math.sign(low) === expected ? "agrees" : "disagrees";
}

function meanOf(rows: readonly MeasuredRow[], metric: MetricName): number {
  return summariseAll(rows, { resamples: 0 }).metrics[metric]?.mean ?? NaN;
}

/** A judged claim as a sentence. */
export function claimSentence({ first, second, metric, paper, here, difference, verdict, against }: JudgedClaim): string {
  const name = shownMetrics[metric] ?? metric;
  const values = `${name} ${here.first.toFixed(3)} against ${here.second.toFixed(3)}, difference ${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]`;
  const theirs = paper ? `${paper.first.toFixed(3)} against ${paper.second.toFixed(3)}` : "the first better, without numbers";
  const judgement = { agrees: "agrees with the paper", disagrees: "disagrees with the paper", open: "leaves open what the paper says" }[verdict];
  const where = against.length > 0 ? `; against it: ${against.map(({ label, difference: of }) => `${label} ${signed(of.mean)}`).join(", ")}` : "";
  return `${first.name} against ${second.name}: ${values}. This ${judgement} (${theirs})${where}.`;
}

/** A number with its sign. */
export function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}
