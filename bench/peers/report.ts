import { textTable } from "../../src/profile/text_table.ts";
import { formatMs } from "../../src/profile/units.ts";
import { median } from "../../src/statistics.ts";
import type { EngineFacts, Work } from "./engine.ts";
import { type Measured, isCounted } from "./measure.ts";

/** How the product stands to the best peer on a work, or to itself without the map. */
export interface Bar {
  work: string;
  /** What ours is compared with. */
  against: string;
  /** Median of their time over the median of ours; of a cost, ours with over ours without. Absent where one of the two has no times that count. */
  ratio?: number;
  /** What is asked for; absent where nothing is. */
  bar?: number;
  /** False where ours failed; absent where nothing is asked for, or no peer has times that count. */
  met?: boolean;
}

/** Most that keeping the map may cost over the same attention without it. */
const mapCost = 1.03;

/** The median of an engine's rounds. */
export const medianMs = ({ roundsMs }: Measured): number => median(roundsMs);

/** The bars of a work: missed where ours has no times that count. */
export function barsOf({ name, bar }: Work, results: readonly Measured[]): Bar[] {
  const ours = results.find(({ role }) => role === "ours");
  const without = results.find(({ role }) => role === "ours without the map");
  const peers = results.filter((result) => result.role === "peer" && isCounted(result)).sort((a, b) => medianMs(a) - medianMs(b));
  const bars = [barBesidePeer({ name, bar }, ours, peers[0])];
  if (without) bars.push(mapCostBar(name, ours, without));
  return bars;
}

function barBesidePeer({ name, bar }: Pick<Work, "name" | "bar">, ours: Measured | undefined, best: Measured | undefined): Bar {
  const shared = { work: name, against: best?.engine ?? "no correct peer", bar };
  if (!ours || !isCounted(ours)) return { ...shared, met: false };
  if (!best) return shared;
  const ratio = medianMs(best) / medianMs(ours);
  return { ...shared, ratio, met: bar === undefined ? undefined : ratio >= bar };
}

function mapCostBar(work: string, ours: Measured | undefined, without: Measured): Bar {
  const shared = { work, against: "itself without the map", bar: mapCost };
  if (!ours || !isCounted(ours) || !isCounted(without)) return { ...shared, met: false };
  // Round by round: both ran within a second of each other.
  const ratio = median(ours.roundsMs.map((ms, i) => ms / without.roundsMs[i]));
  return { ...shared, ratio, met: ratio <= mapCost };
}

/** The times of a work's engines, for a terminal. */
export function timesTable({ flops }: Work, results: readonly Measured[]): string {
  const rows = results.map((result) => {
    const { engine, reason, error, correct, roundsMs } = result;
    const errorText = error === undefined ? "" : error.toExponential(1);
    if (roundsMs.length === 0) return [engine, "", "", "", errorText, reason ?? ""];
    const ms = medianMs(result);
    const spread = `${formatMs(Math.min(...roundsMs))} to ${formatMs(Math.max(...roundsMs))}`;
    const verdict = reason ?? (correct ? "" : "WRONG NUMBERS, not counted");
    return [engine, formatMs(ms), spread, flops ? (flops / ms / 1e6).toFixed(2) : "", errorText, verdict];
  });
  return textTable(["engine", "ms", "least to most", "GFLOP/s", "error", ""], rows, 1);
}

/** All bars, for a terminal. */
export function barsTable(bars: readonly Bar[]): string {
  const rows = bars.map(({ work, against, ratio, bar, met }) => [work, against, ratio?.toFixed(2) ?? "", bar?.toFixed(2) ?? "", met === undefined ? "" : met ? "met" : "MISSED"]);
  return textTable(["work", "against", "ratio", "bar", ""], rows, 2);
}

/** Who took part. */
export function engineLines(facts: ReadonlyMap<string, EngineFacts>, unavailable: ReadonlyMap<string, string>): string {
  const lines = [...facts].map(([id, { version, device, driver, note }]) => `${id} ${version}: ${[device, driver, note].filter(Boolean).join("; ")}`);
  return [...lines, ...[...unavailable].map(([id, reason]) => `${id}: ${reason}`)].join("\n");
}
