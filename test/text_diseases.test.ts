import assert from "node:assert/strict";
import { test } from "node:test";
import { diseaseDeviation } from "../src/eval/disease_deviation.ts";
import { findDiseaseWords } from "../src/text/diseases.ts";

test("labels are found in any spelling; what every object has is none", () => {
  assert.deepEqual(findDiseaseWords("pleural_effusion"), ["pleural", "effusion", "effusions"]);
  for (const label of ["constructor", "toString", "__proto__", "Nodule", ""]) assert.equal(findDiseaseWords(label), undefined, label);
});

test("only disease filtering deviates, and only for labels that it has no words for", () => {
  assert.equal(diseaseDeviation("Edema", ["disease"]), undefined);
  assert.equal(diseaseDeviation("Nodule", ["lexical", "all"]), undefined);
  assert.equal(diseaseDeviation("Nodule", ["lexical", "disease"]), "Nodule has no words of its own: --tokens disease took all tokens");
  assert.equal(diseaseDeviation("", ["disease"]), "without a label --tokens disease took all tokens");
});
