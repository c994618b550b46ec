/**
 * Synthetic frontal chest radiographs with findings, boxes and captions, drawn from a seed. A film depends on the seed,
 * its set and its index alone, so that any part of a set can be made in any order; and since it is drawn with exact
 * operations only (see shapes.ts and random.ts), its bytes are the same on every platform.
 */
import { InputError } from "../../errors.ts";
import type { Box } from "../preprocess.ts";
import { fieldBox } from "./boxes.ts";
import { countWords, drawCaption, drawPhrase, MAX_CAPTION_WORDS, type Caption, type CaptionSegment, type Phrase } from "./captions.ts";
import { drawFindings, findingCounts, phantomLabels, type Finding } from "./findings.ts";
import { createRandom, type Random } from "../../random.ts";
import { drawScene } from "./scene.ts";

/**
 * The sets of films, which share none: three with zero to three findings a film, one with a single finding and one with
 * two, in which each label comes first equally often.
 */
export const phantomSets = ["train", "validate", "test", "single", "pairs"] as const;
export type PhantomSet = (typeof phantomSets)[number];

/** A finding as the film shows it. */
export interface PhantomFinding extends Finding {
  /** The finding in the words of a report. */
  readonly phrase: string;
  /** One box, or two of an edema; whole pixels of the film. */
  readonly boxes: readonly Box[];
}

/** A synthetic radiograph with all that is known about it. */
export interface PhantomFilm {
  readonly size: number;
  /** size * size grey values, rows from the top. */
  readonly pixels: Uint8Array;
  readonly findings: readonly PhantomFinding[];
  readonly caption: string;
  readonly segments: readonly CaptionSegment[];
}

/** Sides of the films, in pixels, between which drawing makes sense. */
const SIZES = { default: 128, least: 32, most: 2048 } as const;

/**
 * Draws film `index` of a set.
 * @param size its side in pixels; the same film comes out finer or coarser, but for the rare finding that is just too
 *   small for a box in one size and not in another
 * @throws InputError for a seed or index that is no whole number of 0 or more, and for a size out of range
 */
export function drawPhantomFilm(seed: number, set: PhantomSet, index: number, size: number = SIZES.default): PhantomFilm {
  checkPhantomOptions(seed, size);
  checkWhole("index", index, 0, Number.MAX_SAFE_INTEGER);
  for (let attempt = 0; ; attempt++) {
    const stream = (purpose: number) => createRandom(seed, phantomSets.indexOf(set), index, attempt, purpose);
    const findings = drawSetFindings(stream(STREAMS.findings), set, index);
    const { pixels, fields } = drawScene(findings, size, (purpose) => stream(STREAMS.scene + purpose));
    const boxes = fields.map((parts) => parts.map((field) => fieldBox(field, size)).filter((box) => box !== undefined));
    // What another finding or the heart hides is no finding: draw another film instead.
    if (!fields.every((parts, i) => boxes[i].length === parts.length)) continue;
    const { phrases, caption } = describe(stream(STREAMS.words), findings, set);
    const shown = findings.map((finding, i) => ({ ...finding, phrase: phrases[i].text, boxes: boxes[i] }));
    return { size, pixels, findings: shown, caption: caption.text, segments: caption.segments };
  }
}

/** Numbers of the random streams of a film: what one part draws does not move another. */
const STREAMS = { findings: 0, words: 1, scene: 2 } as const;

function drawSetFindings(random: Random, set: PhantomSet, index: number): Finding[] {
  if (set === "single" || set === "pairs") return drawFindings(random, set === "single" ? 1 : 2, phantomLabels[index % phantomLabels.length]);
  return drawFindings(random, random.choose([0, 1, 2, 3], findingCounts));
}

/** Phrases and caption, drawn anew until the caption is short enough. The test sets of phrases always name the place. */
function describe(random: Random, findings: readonly Finding[], set: PhantomSet): { phrases: Phrase[]; caption: Caption } {
  const isPhraseSet = set === "single" || set === "pairs";
  for (;;) {
    const phrases = findings.map((finding) => drawPhrase(random, finding, !isPhraseSet));
    const caption = drawCaption(random, findings, phrases);
    if (countWords(caption.text) <= MAX_CAPTION_WORDS) return { phrases, caption };
  }
}

/** @throws InputError for a seed that is no whole number of 0 or more, and for a size out of range */
export function checkPhantomOptions(seed: number, size: number): void {
  checkWhole("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  checkWhole("size", size, SIZES.least, SIZES.most);
}

function checkWhole(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new InputError(name, `${value} is not a whole number from ${least} to ${most}; choose one`);
  }
}
