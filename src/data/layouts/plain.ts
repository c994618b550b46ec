import { diseaseWords } from "../../text/diseases.ts";
import { chestXray14Labels } from "./chest_xray14.ts";
import type { Layout, RowReading, RowValues } from "./layout.ts";
import { mimicLabels } from "./mimic_cxr.ts";
import { checkArea, checkBoxList, checkCaption, checkLabels, checkRow, checkSplit } from "./row_checks.ts";

/** The labels that any of the data sets has. */
const knownLabels = [...new Set([...Object.keys(diseaseWords), ...mimicLabels, ...chestXray14Labels])];

/** Films of one's own beside a CSV file: one row an image and phrase. A column `split` may follow. */
export const plainLayout: Layout = {
  name: "plain",
  files: [/\.csv$/i],
  fileName: "any other CSV file",
  forms: [
    {
      columns: ["image", "phrase", "label", "boxes"],
      sampleKey: undefined,
      identity: ({ image, phrase, label }) => ({ key: JSON.stringify([image, phrase, label]), name: `${image} with this phrase and label` }),
      readRow,
    },
  ],
};

function readRow(values: RowValues): RowReading {
  const checks = checkRow(values);
  const path = checks.text("image");
  const boxes = checkBoxList(checks, "boxes");
  for (const box of boxes) checkArea(checks, box);
  const sample = {
    id: path.replace(/^.*[\\/]/, "").replace(/\.\w+$/, ""),
    path,
    caption: checkCaption(checks, values, "phrase"),
    boxes,
    label: values.label === "" ? "" : checkLabels(checks, "label", values.label, knownLabels),
    split: values.split === undefined ? ("test" as const) : checkSplit(checks, values.split),
  };
  return checks.facts.length > 0 ? { facts: checks.facts } : { sample };
}
