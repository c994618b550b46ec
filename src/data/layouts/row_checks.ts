import { alternatives } from "../../text/captions.ts";
import type { Box } from "../preprocess.ts";
import type { RowValues, Split } from "./layout.ts";

/** Collects what is wrong with a row, so that all of it can be told at once. */
export interface RowChecks {
  readonly facts: string[];
  /** The value of a column that must not be empty. */
  text(column: string): string;
  /** A finite number; NaN where there is none. */
  number(column: string): number;
}

export function checkRow(values: RowValues): RowChecks {
  const facts: string[] = [];
  return {
    facts,
    text(column) {
      if (values[column] === "") facts.push(`${column} is empty`);
      return values[column];
    },
    number(column) {
      const value = values[column] === "" ? NaN : Number(values[column]);
      if (Number.isFinite(value)) return value;
      facts.push(`${column} is ${quoted(values[column])}, not a number`);
      return NaN;
    },
  };
}

/** The caption of a column: there must be a word in it. */
export function checkCaption({ facts }: RowChecks, values: RowValues, column: string): string {
  if (alternatives(values[column]).length === 0) facts.push(`${column} has no text`);
  return values[column];
}

/** A box must have an area and lie in the image. */
export function checkBox(checks: RowChecks, box: Box, imageWidth: number, imageHeight: number): void {
  if (checkArea(checks, box) && isOutside(box, imageWidth, imageHeight)) checks.facts.push(`${outsideFact(box)} of ${imageWidth} x ${imageHeight}`);
}

/** A box must have an area. @returns whether it has */
export function checkArea({ facts }: RowChecks, box: Box): boolean {
  const hasNone = box[2] <= 0 || box[3] <= 0;
  if (hasNone) facts.push(`the box ${box.join(", ")} has no area`);
  return !hasNone;
}

/** How far an edge may lie beyond the image's, in pixels: what rounding makes of sums. */
const ROUNDING = 1e-6;

/** Whether a part of a box lies outside of an image. */
export function isOutside([x, y, width, height]: Box, imageWidth: number, imageHeight: number): boolean {
  return x < 0 || y < 0 || x + width > imageWidth + ROUNDING || y + height > imageHeight + ROUNDING;
}

/** What to say of such a box. */
export function outsideFact(box: Box): string {
  return `the box ${box.join(", ")} (x, y, w, h) is not inside the image`;
}

/** The boxes of a column: x-y-w-h in pixels, several parted by `|`. Commas or blanks may stand for the dashes. */
export function checkBoxList(checks: RowChecks, column: string): Box[] {
  return checks.text(column).split("|").flatMap((text): Box[] => {
    const numbers = text.trim().split(/[-,\s]+/).map((part) => (part === "" ? NaN : Number(part)));
    const [x, y, width, height] = numbers;
    if (numbers.length === 4 && numbers.every(Number.isFinite)) return [[x, y, width, height]];
    if (text !== "") checks.facts.push(`${column} has ${quoted(text)}, which is no box x-y-w-h in pixels; several are parted by |`);
    return [];
  });
}

/** The JPEG file that was made of a DICOM file: the tables name the latter. */
export function jpegPath(path: string): string {
  return path.replace(/\.dcm$/, ".jpg");
}

const SPLITS: Readonly<Record<string, Split>> = {
  train: "train",
  validate: "validate",
  val: "validate",
  test: "test",
  // The numbers of the published preprocessing.
  0: "test",
  1: "train",
  2: "validate",
  3: "p19",
  4: "mscxr",
};

export function checkSplit({ facts }: RowChecks, text: string): Split {
  const split = SPLITS[text.toLowerCase()];
  if (!split) facts.push(`split is ${quoted(text)}, not one of ${Object.keys(SPLITS).join(", ")}`);
  return split;
}

/** Each of the labels parted by `|` must be known. */
export function checkLabels({ facts }: RowChecks, column: string, text: string, known: readonly string[]): string {
  for (const label of text.split("|")) {
    if (!known.includes(label.trim())) facts.push(`${column} has the unknown label ${quoted(label)}; known are ${known.join(", ")}`);
  }
  return text;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
