import { textTable } from "../profile/text_table.ts";
import { formatMs, formatPercent } from "../profile/units.ts";
import type { CandidateTime, MeasuredClass } from "./measure.ts";

/** What was measured, for a terminal: the classes that gain most first. */
export function tuningTable(classes: readonly MeasuredClass[]): string {
  const rows = [...classes].sort((a, b) => savedMs(b) - savedMs(a) || b.candidates[0].medianMs - a.candidates[0].medianMs).map(({ op, shapeClass, candidates, chosen, gain }) => [
    op, shapeClass, candidates.map(timeOf).join(", "), chosen, gain > 0 ? formatPercent(gain) : "default",
  ]);
  return textTable(["op", "shape class", "ms in all, the default first", "chosen", "gain"], rows, 4);
}

function timeOf({ variant, medianMs, spreadMs }: CandidateTime): string {
  return `${variant} ${formatMs(medianMs)} ± ${formatMs(spreadMs)}`;
}

/** Milliseconds that the choice saves in one pass of the work. */
export function savedMs({ candidates, gain }: MeasuredClass): number {
  return gain * candidates[0].medianMs;
}
