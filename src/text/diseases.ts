/** The eight findings of MS-CXR and the words by which disease filtering finds them (Dombrowski et al. 2024). */
import { InputError } from "../errors.ts";

/** Query words by label, in the order of the published list. */
export const diseaseWords: Readonly<Record<string, readonly string[]>> = {
  Atelectasis: ["atelectasis", "atelectatic"],
  Cardiomegaly: ["cardiomegaly", "cardiac"],
  Consolidation: ["consolidation", "consolidations", "consolidative"],
  Edema: ["edema"],
  "Lung Opacity": ["opacity", "opacities", "opacification"],
  "Pleural Effusion": ["pleural", "effusion", "effusions"],
  Pneumonia: ["pneumonia"],
  Pneumothorax: ["pneumothorax", "pneumothoraces"],
};

/** The query words of a label; case, spaces, dashes and underscores do not matter. undefined where the list lacks it. */
export function findDiseaseWords(label: string): readonly string[] | undefined {
  return Object.entries(diseaseWords).find(([name]) => plain(name) === plain(label))?.[1];
}

/**
 * The query words of a label, as `findDiseaseWords` finds them.
 * @throws InputError that lists the labels where there is none or an unknown one
 */
export function diseaseQueries(label: string | undefined): readonly string[] {
  const known = Object.keys(diseaseWords).join(", ");
  if (label === undefined) throw new InputError("--label", `is missing; disease filtering needs one of ${known}`);
  const words = findDiseaseWords(label);
  if (!words) throw new InputError("--label", `${label} is not a known label; use one of ${known}`);
  return words;
}

function plain(label: string): string {
  return label.toLowerCase().replace(/[\s_-]+/g, "");
}
