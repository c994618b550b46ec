import type { Layout, RowReading, RowValues } from "./layout.ts";
import { checkBox, checkLabels, checkRow } from "./row_checks.ts";

/** The findings that have boxes, as the list spells them. */
export const chestXray14Labels = ["Atelectasis", "Cardiomegaly", "Effusion", "Infiltrate", "Mass", "Nodule", "Pneumonia", "Pneumothorax"] as const;

/** What the list's header makes of "Bbox [x,y,w,h]": a column for each comma. */
const [X, Y, W, H] = ["Bbox [x", "y", "w", "h]"];

/** Side of the films, which the boxes refer to. */
const SIDE = 1024;

/** ChestX-ray14's films with boxes, which stand for the finding's name: one row a box. */
export const chestXray14Layout: Layout = {
  name: "ChestX-ray14",
  files: [/^BBox_List_2017.*\.csv$/],
  fileName: "BBox_List_2017.csv",
  forms: [
    {
      columns: ["Image Index", "Finding Label", X, Y, W, H],
      sampleKey: (values) => JSON.stringify([values["Image Index"], values["Finding Label"]]),
      identity: (values) => {
        const box = [X, Y, W, H].map((column) => values[column]);
        return { key: JSON.stringify([values["Image Index"], values["Finding Label"], ...box]), name: `box ${box.join(", ")} of ${values["Image Index"]} and its label` };
      },
      readRow,
    },
  ],
  // As the archives unpack: images/, or images_001/images/ to images_012/images/.
  imageFolders: /^images(_\d+)?$/,
};

function readRow(values: RowValues): RowReading {
  const checks = checkRow(values);
  const box = [checks.number(X), checks.number(Y), checks.number(W), checks.number(H)] as const;
  checkBox(checks, box, SIDE, SIDE);
  const path = checks.text("Image Index");
  const label = checkLabels(checks, "Finding Label", values["Finding Label"], chestXray14Labels);
  const sample = { id: path.replace(/\.\w+$/, ""), path, caption: label, boxes: [box], label, split: "test" as const, statedSize: [SIDE, SIDE] as const };
  return checks.facts.length > 0 ? { facts: checks.facts } : { sample };
}
