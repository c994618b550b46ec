import type { Layout, RowReading, RowValues, Split } from "./layout.ts";
import { checkCaption, checkLabels, checkRow, checkSplit, jpegPath } from "./row_checks.ts";

/** The labels of MIMIC-CXR-JPG (CheXpert). */
export const mimicLabels = [
  "Atelectasis",
  "Cardiomegaly",
  "Consolidation",
  "Edema",
  "Enlarged Cardiomediastinum",
  "Fracture",
  "Lung Lesion",
  "Lung Opacity",
  "No Finding",
  "Pleural Effusion",
  "Pleural Other",
  "Pneumonia",
  "Pneumothorax",
  "Support Devices",
] as const;

const COLUMNS = ["dicom_id", "path", "impression", "split", "Finding Labels"] as const;

/** MIMIC-CXR-JPG as the published training reads it: one row an image, with the impression of its report. */
export const mimicLayout: Layout = {
  name: "MIMIC-CXR-JPG",
  files: [/^mimic_metadata_preprocessed\.csv$/],
  fileName: "mimic_metadata_preprocessed.csv",
  forms: [{ columns: COLUMNS, sampleKey: undefined, identity: ({ dicom_id: id }) => ({ key: id, name: `dicom_id ${id}` }), readRow }],
};

function readRow(values: RowValues): RowReading {
  const checks = checkRow(values);
  const labels = values["Finding Labels"];
  const sample = {
    id: checks.text("dicom_id"),
    path: jpegPath(checks.text("path")),
    caption: checkCaption(checks, values, "impression"),
    boxes: [],
    label: labels === "" ? "" : checkLabels(checks, "Finding Labels", labels, mimicLabels),
    split: checkSplit(checks, values.split),
  };
  return checks.facts.length > 0 ? { facts: checks.facts } : { sample };
}

/** An image of the MIMIC-CXR-JPG layout. */
export interface MimicImage {
  readonly id: string;
  readonly path: string;
  readonly impression: string;
  readonly split: Split;
  readonly labels: readonly string[];
}

export const mimicHeader: readonly string[] = COLUMNS;

/** The row of an image, in the order of `mimicHeader`. */
export function mimicRow({ id, path, impression, split, labels }: MimicImage): string[] {
  return [id, path, impression, split, labels.length > 0 ? labels.join("|") : "No Finding"];
}
