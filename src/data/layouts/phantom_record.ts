import type { CaptionSegment } from "../phantom/captions.ts";
import type { PhantomFilm, PhantomFinding, PhantomSet } from "../phantom/film.ts";
import type { MimicImage } from "./mimic_cxr.ts";
import type { MsCxrPhrase } from "./ms_cxr.ts";

/** All that is known about a film of the phantom but its pixels: one line of `phantom.jsonl` beside each table. */
export interface PhantomRecord {
  readonly id: string;
  readonly path: string;
  readonly set: PhantomSet;
  readonly index: number;
  /** Side of the film in pixels. */
  readonly size: number;
  readonly caption: string;
  readonly segments: readonly CaptionSegment[];
  readonly findings: readonly PhantomFinding[];
}

/** The file of the records, in the folder of each table. */
export const PHANTOM_RECORDS = "phantom.jsonl";

/** Films of one folder; MIMIC-CXR-JPG parts its patients into p10 to p19. */
const FILMS_PER_FOLDER = 1000;

/** A film's record; its name tells seed, set and index. */
export function phantomRecord(film: PhantomFilm, seed: number, set: PhantomSet, index: number): PhantomRecord {
  const id = `phantom-${seed}-${set}-${String(index).padStart(6, "0")}`;
  const path = `files/p${10 + Math.floor(index / FILMS_PER_FOLDER)}/${id}.png`;
  const { size, caption, segments, findings } = film;
  return { id, path, set, index, size, caption, segments, findings };
}

/** The film of a set with zero to three findings. */
export function mimicImage({ id, path, set, caption, findings }: PhantomRecord): MimicImage {
  if (set === "single" || set === "pairs") throw new RangeError(`${set} has no split of MIMIC-CXR-JPG`);
  return { id, path, impression: caption, split: set, labels: findings.map(({ label }) => label) };
}

/** Each finding's phrase with its boxes. */
export function msCxrPhrases({ id, path, size, findings }: PhantomRecord): MsCxrPhrase[] {
  return findings.map(({ label, phrase, boxes }) => ({ id, path, category: label, text: phrase, boxes, width: size, height: size }));
}
