import { findDiseaseWords } from "../text/diseases.ts";
import type { TokenChoiceOptions } from "../text/token_choice.ts";

/**
 * What disease filtering does with a label that its list lacks, such as ChestX-ray14's Nodule: it takes all tokens, as where
 * a phrase has none of the words. undefined where the label has words, or that choice is not among `tokens`.
 */
export function diseaseDeviation(label: string, tokens: readonly TokenChoiceOptions["tokens"][]): string | undefined {
  if (!tokens.includes("disease") || findDiseaseWords(label)) return undefined;
  return `${label === "" ? "without a label" : `${label} has no words of its own:`} --tokens disease took all tokens`;
}
