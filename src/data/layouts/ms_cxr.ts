import { diseaseWords } from "../../text/diseases.ts";
import type { Box } from "../preprocess.ts";
import type { Layout, RowReading, RowValues, TableForm } from "./layout.ts";
import { type RowChecks, checkBox, checkBoxList, checkCaption, checkLabels, checkRow, checkSplit, jpegPath } from "./row_checks.ts";

const PHRASE_COLUMNS = ["dicom_id", "category_name", "label_text", "path"] as const;
const SIZE_COLUMNS = ["image_width", "image_height"] as const;
const COLUMNS = [...PHRASE_COLUMNS, "x", "y", "w", "h", ...SIZE_COLUMNS] as const;

/** As it is published: one row a box. Version 1.1 adds a split. */
const boxForm: TableForm = {
  columns: COLUMNS,
  sampleKey: ({ path, category_name: category, label_text: text }) => JSON.stringify([path, category, text]),
  identity: ({ dicom_id: id, category_name: category, label_text: text, x, y, w, h }) => ({
    key: JSON.stringify([id, category, text, x, y, w, h]),
    name: `box ${x}, ${y}, ${w}, ${h} of dicom_id ${id} and its text`,
  }),
  readRow: (values) => readRow(values, (checks) => [[checks.number("x"), checks.number("y"), checks.number("w"), checks.number("h")]]),
};

/** As the authors' preprocessing leaves it: one row an image and label, its boxes joined. */
const joinedForm: TableForm = {
  columns: [...PHRASE_COLUMNS, "bboxxywh", ...SIZE_COLUMNS],
  sampleKey: undefined,
  identity: ({ dicom_id: id, category_name: category, label_text: text }) => ({
    key: JSON.stringify([id, category, text]),
    name: `dicom_id ${id} with this label and text`,
  }),
  readRow: (values) => readRow(values, (checks) => checkBoxList(checks, "bboxxywh")),
};

/** MS-CXR: phrases of reports and the boxes of what they describe. */
export const msCxrLayout: Layout = {
  name: "MS-CXR",
  files: [/^MS_CXR_Local_Alignment_v\d+(\.\d+)*\.csv$/, /^MS_CXR_Local_Alignment_v\d+(\.\d+)*\.json$/, /^(mimi_scxr_phrase_grounding_preprocessed|mcxr_with_impressions)\.csv$/],
  fileName: "MS_CXR_Local_Alignment_v1.0.0.csv",
  forms: [boxForm, joinedForm],
  aliases: { paths: "path" },
};

function readRow(values: RowValues, readBoxes: (checks: RowChecks) => Box[]): RowReading {
  const checks = checkRow(values);
  const boxes = readBoxes(checks);
  const size = [checks.number("image_width"), checks.number("image_height")] as const;
  for (const box of boxes) checkBox(checks, box, ...size);
  const sample = {
    id: checks.text("dicom_id"),
    path: jpegPath(checks.text("path")),
    caption: checkCaption(checks, values, "label_text"),
    boxes,
    label: checkLabels(checks, "category_name", values.category_name, Object.keys(diseaseWords)),
    split: values.split === undefined ? ("test" as const) : checkSplit(checks, values.split),
    statedSize: size,
  };
  return checks.facts.length > 0 ? { facts: checks.facts } : { sample };
}

/** A phrase of the MS-CXR layout with its boxes. */
export interface MsCxrPhrase {
  readonly id: string;
  readonly path: string;
  readonly category: string;
  readonly text: string;
  readonly boxes: readonly Box[];
  readonly width: number;
  readonly height: number;
}

export const msCxrHeader: readonly string[] = COLUMNS;

/** The rows of a phrase, one a box, in the order of `msCxrHeader`. */
export function msCxrRows({ id, path, category, text, boxes, width, height }: MsCxrPhrase): (string | number)[][] {
  return boxes.map((box) => [id, category, text, path, ...box, width, height]);
}
