import type { Box } from "../preprocess.ts";

/** One image with a text and what the text points at. */
export interface DataSample {
  /** The image's dicom_id. */
  readonly id: string;
  /** Path of the image file. */
  readonly imagePath: string;
  /** The text as the data set has it: alternatives may be parted by `|`. */
  readonly caption: string;
  /** Boxes in pixels of the image; none where the layout has none. */
  readonly boxes: readonly Box[];
  /** A finding, or several parted by `|`; empty where the data set has none. */
  readonly label: string;
  /** "test" where the table has no splits. */
  readonly split: Split;
  /** Width and height as the data set states them, which the boxes refer to. */
  readonly statedSize?: readonly [width: number, height: number];
  /** Line of the CSV file where the sample starts, or number of the JSON file's annotation. */
  readonly line: number;
}

/** MIMIC-CXR's splits, the held-out p19 part of the published training, and MS-CXR's own films in it. */
export const splits = ["train", "validate", "test", "p19", "mscxr"] as const;
/** One of `splits`. */
export type Split = (typeof splits)[number];

/** Something wrong with a data set, and where. */
export interface DataProblem {
  /** The file that has the line. */
  readonly file: string;
  /** Line of a CSV file, or number of a JSON file's annotation. */
  readonly line: number;
  /** What is wrong with what, in words. */
  readonly fact: string;
}

/** A record of a table and the line where it starts, or what is wrong there. */
export type TableRecord = { readonly line: number; readonly fields: readonly string[] } | { readonly line: number; readonly fact: string };

/** The values of a row by the names of the columns. */
export type RowValues = Readonly<Record<string, string>>;

/** One row, understood: all it holds, or what is wrong with it. */
export type RowReading = { readonly sample: Omit<DataSample, "line" | "imagePath"> & { readonly path: string } } | { readonly facts: readonly string[] };

/** A form of a table: which columns it has, and how its rows are understood. */
export interface TableForm {
  /** Columns without which the table cannot be read. */
  readonly columns: readonly string[];
  /** Rows with the same key are one sample with several boxes; undefined where every row is a sample. */
  readonly sampleKey: ((values: RowValues) => string) | undefined;
  /** What no two rows may have in common, unless it is empty, and how to call it. */
  readonly identity: (values: RowValues) => { readonly key: string; readonly name: string };
  readonly readRow: (values: RowValues) => RowReading;
}

/** How a data set lies on the disk: a table, and image files whose paths it holds. */
export interface Layout {
  readonly name: string;
  /** The table's names; where a folder has several, those of the first pattern are preferred, and of these the last. */
  readonly files: readonly RegExp[];
  /** The table's name, for people. */
  readonly fileName: string;
  /** The forms that the table comes in. */
  readonly forms: readonly [TableForm, ...TableForm[]];
  /** Other names that columns have been given. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Folders, beside the table or in one another, that hold images which the table names without a folder. */
  readonly imageFolders?: RegExp;
}
