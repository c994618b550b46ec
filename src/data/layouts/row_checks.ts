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
export function checkBox({ facts }: RowChecks, [x, y, width, height]: Box, imageWidth: number, imageHeight: number): void {
  const shown = `the box ${x}, ${y}, ${width}, ${height}`;
  if (width <= 0 || height <= 0) facts.push(`${shown} has no area`);
  else if (x < 0 || y < 0 || x + width > imageWidth || y + height > imageHeight) {
    facts.push(`${shown} (x, y, w, h) is not inside the image of ${imageWidth} x ${imageHeight}`);
  }
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
