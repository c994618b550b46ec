import type { DataSample } from "../data/layouts/layout.ts";
import { createRandom } from "../random.ts";
import { firstAlternative } from "../text/captions.ts";

/**
 * What a row measures: the sample's own phrase, or a control: a phrase of another finding and side, the finding's name
 * alone, and the map of that name over the boxes of another film.
 */
export const rowKinds = ["phrase", "wrong-phrase", "class-word", "other-film"] as const;
export type RowKind = (typeof rowKinds)[number];

/** A map to make and what to measure it against. */
export interface PlannedRow {
  readonly kind: RowKind;
  /** Index of the sample whose film is looked at. */
  readonly sample: number;
  readonly text: string;
  /** The finding that the text is about. */
  readonly label: string;
  /** Index of the sample whose boxes are the truth. */
  readonly truth: number;
}

/** Part `index` (from 1) of `count`. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** The samples of a run: the first `limit` ones, and of these one shard. A shard has all samples of its films. */
export function chooseSamples(samples: readonly DataSample[], { limit = Infinity, shard }: { limit?: number; shard?: Shard }): number[] {
  const first = [...samples.slice(0, limit).keys()];
  if (!shard) return first;
  const films = [...new Set(first.map((i) => samples[i].imagePath))];
  const shardOf = new Map(films.map((film, i) => [film, i % shard.count]));
  return first.filter((i) => shardOf.get(samples[i].imagePath) === shard.index - 1);
}

/**
 * The rows of the chosen samples. Controls are drawn from all samples by the seed and the sample's number, so that they do
 * not depend on which others were chosen. A control that a sample cannot have is left out.
 */
export function planRows(samples: readonly DataSample[], chosen: readonly number[], { controls, seed }: { controls: boolean; seed: number }): PlannedRow[] {
  const labelsOf = new Map<string, Set<string>>();
  for (const { imagePath, label } of samples) labelsOf.set(imagePath, (labelsOf.get(imagePath) ?? new Set()).add(label));
  const candidates = samples.filter(({ label }) => label !== "").map((other) => ({ text: firstAlternative(other.caption), label: other.label, side: sideOf(other.caption) }));
  return chosen.flatMap((sample) => {
    const { caption, label, imagePath } = samples[sample];
    const own: PlannedRow = { kind: "phrase", sample, text: firstAlternative(caption), label, truth: sample };
    if (!controls) return [own];
    const random = createRandom(seed, sample);
    const side = sideOf(caption);
    const strangers = candidates.filter((other) => !labelsOf.get(imagePath)?.has(other.label));
    const elsewhere = strangers.filter((other) => other.side !== side);
    const wrong = strangers.length > 0 && random.choose(elsewhere.length > 0 ? elsewhere : strangers);
    const others = [...samples.keys()].filter((i) => samples[i].imagePath !== imagePath);
    const classWord = { sample, text: label.split("|")[0].toLowerCase(), label };
    return [
      own,
      ...(wrong ? [{ ...own, kind: "wrong-phrase" as const, text: wrong.text, label: wrong.label }] : []),
      ...(label === "" ? [] : [{ ...classWord, kind: "class-word" as const, truth: sample }]),
      ...(label === "" || others.length === 0 ? [] : [{ ...classWord, kind: "other-film" as const, truth: random.choose(others) }]),
    ];
  });
}

/** The side that a phrase names. */
function sideOf(phrase: string): "left" | "right" | "both" | "none" {
  const text = firstAlternative(phrase).toLowerCase();
  const [left, right] = [/\bleft\b/.test(text), /\bright\b/.test(text)];
  if ((left && right) || /\b(bilateral|bilaterally|both)\b/.test(text)) return "both";
  if (left) return "left";
  return right ? "right" : "none";
}
