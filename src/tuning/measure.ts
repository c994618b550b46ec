import { CompileError, DeviceError, DeviceLostError, UnsupportedError } from "../errors.ts";
import type { ProfileRow } from "../gpu/profile.ts";
import type { ChoosingOp, VariantChoice, VariantChoices } from "../gpu/variant_choices.ts";
import { median } from "../statistics.ts";

/** Does the work once under these choices and gives its dispatches with their times. */
export type MeasuredWork = (choices: VariantChoices) => Promise<readonly Pick<ProfileRow, "choice" | "ms">[]>;

/** A variant's time in a shape class: milliseconds of all dispatches of the class in one pass of the work. */
export interface CandidateTime {
  variant: string;
  medianMs: number;
  /** Median distance from the median. */
  spreadMs: number;
}

/** What was found for an op and a shape class. */
export interface MeasuredClass {
  op: ChoosingOp;
  shapeClass: string;
  /** The default first. */
  candidates: CandidateTime[];
  chosen: string;
  /** Part of the default's time that the choice saves. */
  gain: number;
}

/** Options of `measureVariants`. */
export interface MeasureOptions {
  /** How many times of each candidate count, at least. */
  rounds: number;
  onPass?: (done: number, total: number) => void;
}

/** A winner that saves less than this part of the default's time leaves the default in place. */
const leastGain = 0.05;

/** A shape class on the way. */
interface OpenClass extends Omit<VariantChoice, "variant"> {
  candidates: string[];
  /** Milliseconds of each pass, by variant. */
  times: Map<string, number[]>;
}

/** Takes one of a class's candidates. */
type Choose = (candidates: readonly string[], op: ChoosingOp) => string;

/**
 * Times the candidates of all ops that the work runs, interleaved: in pass r every shape class takes its candidate r mod n.
 * The first time of each, in which it is compiled, does not count. Candidates that the device does not run are left out,
 * with a note. @throws what the work throws with the defaults alone
 */
export async function measureVariants(work: MeasuredWork, { rounds, onPass }: MeasureOptions): Promise<{ classes: MeasuredClass[]; notes: string[] }> {
  const classes = new Map<string, OpenClass>();
  const notes: string[] = [];
  await runPass(work, classes, ([first]) => first);
  const total = (rounds + 1) * Math.max(1, ...[...classes.values()].map(({ candidates }) => candidates.length));
  onPass?.(1, total);
  for (let pass = 1; pass < total; pass++) {
    const inTurn: Choose = (candidates) => candidates[pass % candidates.length];
    try {
      await runPass(work, classes, inTurn);
    } catch (error) {
      if (!isOfTheDevice(error)) throw error;
      const found = await excludeFailing(work, classes, inTurn);
      if (found.length === 0) throw error;
      notes.push(...found);
      await runPass(work, classes, inTurn);
    }
    onPass?.(pass + 1, total);
  }
  // What the work only planned, to know its memory, has no times.
  const timed = [...classes.values()].filter(({ candidates, times }) => candidates.length > 1 && times.size > 0);
  return { classes: timed.map(judge), notes };
}

/** Does the work once and keeps its times; classes are added as the work asks for them. */
async function runPass(work: MeasuredWork, classes: Map<string, OpenClass>, choose: Choose): Promise<void> {
  const sums = new Map<OpenClass, number>();
  const rows = await work({
    chosen(op, shapeClass, candidates) {
      const key = keyOf({ op, shapeClass });
      const known = classes.get(key) ?? { op, shapeClass, candidates: [...candidates], times: new Map() };
      classes.set(key, known);
      return candidates.find((variant) => variant === choose(known.candidates, op));
    },
  });
  for (const { choice, ms } of rows) {
    const known = choice && classes.get(keyOf(choice));
    if (known) sums.set(known, (sums.get(known) ?? 0) + ms);
  }
  for (const [known, ms] of sums) {
    const variant = choose(known.candidates, known.op);
    known.times.set(variant, [...(known.times.get(variant) ?? []), ms]);
  }
}

function keyOf({ op, shapeClass }: Omit<VariantChoice, "variant">): string {
  return `${op} ${shapeClass}`;
}

function isOfTheDevice(error: unknown): error is Error {
  return (error instanceof DeviceError && !(error instanceof DeviceLostError)) || error instanceof CompileError || error instanceof UnsupportedError;
}

/** Tries what a pass chose one variant at a time, all else by default, takes out what fails, and says so. */
async function excludeFailing(work: MeasuredWork, classes: ReadonlyMap<string, OpenClass>, choose: Choose): Promise<string[]> {
  const suspects = new Map<string, { op: ChoosingOp; variant: string }>();
  for (const { op, candidates } of classes.values()) {
    const variant = choose(candidates, op);
    if (variant !== candidates[0]) suspects.set(`${op} ${variant}`, { op, variant });
  }
  const notes: string[] = [];
  for (const { op, variant } of suspects.values()) {
    try {
      await runPass(work, new Map(classes), (candidates, of) => (of === op && candidates.includes(variant) ? variant : candidates[0]));
    } catch (error) {
      if (!isOfTheDevice(error)) throw error;
      notes.push(`${op} does not run as ${variant} here: ${error.message}`);
      for (const known of classes.values()) if (known.op === op) known.candidates = known.candidates.filter((candidate) => candidate !== variant);
    }
  }
  return notes;
}

function judge({ op, shapeClass, candidates, times }: OpenClass): MeasuredClass {
  const measured = candidates.map((variant): CandidateTime => {
    const counted = (times.get(variant) ?? []).slice(1);
    const medianMs = median(counted);
    return { variant, medianMs, spreadMs: median(counted.map((ms) => Math.abs(ms - medianMs))) };
  });
  const [byDefault] = measured;
  const winner = measured.reduce((best, other) => (other.medianMs < best.medianMs ? other : best));
  const saved = byDefault.medianMs - winner.medianMs;
  const beyondNoise = saved > Math.max(leastGain * byDefault.medianMs, byDefault.spreadMs + winner.spreadMs);
  return { op, shapeClass, candidates: measured, chosen: (beyondNoise ? winner : byDefault).variant, gain: beyondNoise ? saved / byDefault.medianMs : 0 };
}
