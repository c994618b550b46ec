import { diseaseWords } from "../../text/diseases.ts";
import type { Box } from "../preprocess.ts";
import type { Layout, RowReading, RowValues } from "./layout.ts";
import { checkBox, checkCaption, checkLabels, checkRow, checkSplit } from "./row_checks.ts";

const COLUMNS = ["dicom_id", "category_name", "label_text", "path", "x", "y", "w", "h", "image_width", "image_height"] as const;

/** MS-CXR: phrases of reports and the boxes of what they describe, one row a box. Version 1.1 adds a split. */
export const msCxrLayout: Layout = {
  name: "MS-CXR",
  file: /^MS_CXR_Local_Alignment_v\d+\.\d+\.\d+\.csv$/,
  fileName: "MS_CXR_Local_Alignment_v1.0.0.csv",
  columns: COLUMNS,
  sampleKey: ({ path, category_name: category, label_text: text }) => JSON.stringify([path, category, text]),
  identity: ({ dicom_id: id, category_name: category, label_text: text, x, y, w, h }) => ({
    key: JSON.stringify([id, category, text, x, y, w, h]),
    name: `box ${x}, ${y}, ${w}, ${h} of dicom_id ${id} and its text`,
  }),
  readRow,
};

function readRow(values: RowValues): RowReading {
  const checks = checkRow(values);
  const box: Box = [checks.number("x"), checks.number("y"), checks.number("w"), checks.number("h")];
  const size = [checks.number("image_width"), checks.number("image_height")] as const;
  checkBox(checks, box, ...size);
  const sample = {
    id: checks.text("dicom_id"),
    path: checks.text("path"),
    caption: checkCaption(checks, values, "label_text"),
    boxes: [box],
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

/** The same as MS-CXR's JSON file has it: the object detection format of MS COCO, with the text beside each box. */
export function msCxrCoco(phrases: readonly MsCxrPhrase[], description: string): object {
  const names = Object.keys(diseaseWords);
  const images = [...new Map(phrases.map((phrase) => [phrase.path, phrase])).values()];
  const imageIds = new Map(images.map(({ path }, i) => [path, i + 1]));
  const boxes = phrases.flatMap((phrase) => phrase.boxes.map((box) => ({ ...phrase, box })));
  return {
    info: { description },
    categories: names.map((name, i) => ({ id: i + 1, name, supercategory: "finding" })),
    images: images.map(({ path, width, height }, i) => ({ id: i + 1, file_name: path.slice(path.lastIndexOf("/") + 1), path, width, height })),
    annotations: boxes.map(({ path, category, text, box }, i) => ({
      id: i + 1,
      image_id: imageIds.get(path),
      category_id: names.indexOf(category) + 1,
      label_text: text,
      bbox: box,
      area: box[2] * box[3],
      iscrowd: 0,
    })),
  };
}
