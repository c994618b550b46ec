import { InputError } from "../errors.ts";
import type { EvalRow } from "../eval/row.ts";
import type { RowKind } from "../eval/plan.ts";
import type { SummarisedRow } from "../eval/summary.ts";
import type { SweptSettings } from "../sweep/grid.ts";
import { type SweptOption, baseOf } from "../sweep/settings.ts";
import { type SweepRow, rowsUnder } from "../sweep/sweep_row.ts";

/** A measured map that can be paired with another of the same sample. */
export interface MeasuredRow extends SummarisedRow {
  readonly sample: number;
}

/** The rows of a sweep, and what their values stand for. */
export interface SweptRun {
  /** In the order of the values of each row. */
  readonly settings: readonly SweptSettings[];
  readonly rows: readonly SweepRow[];
}

/**
 * The rows under the one setting that has the wanted values, and else those of the paper's own method where they were swept.
 * @throws InputError where no setting has them
 */
export function rowsWhere({ settings, rows }: SweptRun, wanted: Partial<SweptSettings>): MeasuredRow[] {
  const options = Object.keys(wanted) as SweptOption[];
  const possible = settings.filter((each) => options.every((option) => String(each[option]) === String(wanted[option])));
  if (possible.length === 0) throw new InputError("paper", `no setting was swept with ${options.map((option) => `${option} ${String(wanted[option])}`).join(", ")}; give another --out`);
  const index = settings.indexOf(baseOf(possible));
  return rowsUnder(rows, index).map((row, i) => ({ ...row, sample: rows[i].sample }));
}

/** The values of an option that were swept, each once, in order. */
export function valuesOf<O extends SweptOption>({ settings }: SweptRun, option: O): SweptSettings[O][] {
  return [...new Map(settings.map((each) => [String(each[option]), each[option]])).values()];
}

/** The rows of one kind of an evaluation, to be paired with those of another kind. */
export function rowsOfKind(rows: readonly EvalRow[], kind: RowKind): MeasuredRow[] {
  return rows.filter((row) => row.kind === kind).map((row) => ({ ...row, kind: "phrase" }));
}
