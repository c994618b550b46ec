import { textTable } from "../../src/profile/text_table.ts";
import { formatMs, formatRate } from "../../src/profile/units.ts";
import { describeFit } from "./fit.ts";
import type { MeasuredCurve, MeasuredPoint } from "./measure.ts";

/** Heads of a curve's table. */
export function tableHeads({ xLabel, unit, perUnit }: MeasuredCurve): string[] {
  return ["", xLabel, "ms", "least to most", ...(perUnit ? [`ms per ${unit}`] : []), "GFLOP/s"];
}

/** Rows of a curve's table, a point each. */
export function tableRows({ perUnit, series }: MeasuredCurve): string[][] {
  return series.flatMap(({ name, points }) => points.map((point, i) => [i === 0 ? name : "", ...pointCells(point, perUnit)]));
}

function pointCells({ x, medianMs, leastMs, mostMs, flops }: MeasuredPoint, perUnit: MeasuredCurve["perUnit"]): string[] {
  return [String(x), formatMs(medianMs), `${formatMs(leastMs)} to ${formatMs(mostMs)}`, ...(perUnit ? [formatMs(medianMs / x)] : []), formatRate(flops / medianMs / 1e6)];
}

/** A curve for a terminal. */
export function curveTable(curve: MeasuredCurve): string {
  const fits = curve.series.map(({ name, fit }) => `${name}: ${describeFit(fit, curve.unit)}`);
  return [`# ${curve.id}: ${curve.title}`, curve.note, textTable(tableHeads(curve), tableRows(curve), 1), ...fits].join("\n");
}
