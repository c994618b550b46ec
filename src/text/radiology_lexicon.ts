/**
 * Where a tagger of general English errs on radiology reports: sides that it takes for verbs ("left"), adjectives of
 * anatomy and of appearance that it does not know, participles that name findings, abbreviations with a slash.
 * Tags are Universal POS tags; a word stands here with the tag that it has in nearly every report.
 */
import type { PartOfSpeech } from "wink-nlp";

const adjectives = `
  left right bilateral unilateral upper middle lower mid medial lateral anterior posterior superior inferior central
  peripheral apical basal basilar bibasilar bibasal biapical hilar bihilar perihilar infrahilar suprahilar retrocardiac
  retrosternal paratracheal paramediastinal juxtahilar subpleural subpulmonic subdiaphragmatic infradiaphragmatic
  pleural parenchymal pulmonary bronchial peribronchial endobronchial tracheal endotracheal nasogastric orogastric
  enteric esophageal gastric cardiac pericardial mediastinal cardiomediastinal cardiothoracic
  costophrenic cardiophrenic cavoatrial atrial ventricular aortic brachiocephalic subclavian jugular azygos venous
  vascular perivascular diaphragmatic hemidiaphragmatic thoracic intrathoracic extrathoracic osseous sternal clavicular
  vertebral costal subcutaneous fissural
  segmental subsegmental lobar multilobar focal multifocal diffuse patchy streaky hazy linear bandlike discoid platelike
  reticular reticulonodular nodular alveolar interstitial consolidative atelectatic emphysematous
  fibrotic granulomatous cavitary cystic bullous loculated layering calcified spiculated confluent rounded ill-defined
  well-defined ground-glass lucent radiopaque radiolucent metallic
  tiny trace subtle faint vague mild moderate severe marked massive acute subacute chronic prior previous clear stable
  new unchanged concerning worrisome suspicious suggestive indicative consistent compatible
  elevated depressed flattened enlarged dilated widened tortuous unfolded increased decreased
  worsening resolving overlying underlying adjacent intact displaced nondisplaced healed hyperinflated hyperexpanded
  postoperative postsurgical degenerative
  c/w b/l
`;

const nouns = `
  blunting thickening scarring crowding cuffing mottling widening tenting shadowing stranding narrowing markings
  findings finding infiltrate infiltrates study studies lead leads clip clips drain drains port ports tip tips
  rul rml rll lul lll ruq luq pa ap et ett ng ngt og ogt ij svc ivc picc icd aicd cabg copd chf
  h/o f/u follow-up x-ray
`;

const verbs = "r/o obscures obscuring overlies abuts abutting projects terminates";

const adverbs = "likely";

const adpositions = "post s/p w w/o d/t vs vs. versus";

const symbols = "x";

/** Lower-case words and their tags. */
export const radiologyLexicon: ReadonlyMap<string, PartOfSpeech> = new Map([
  ...entries("ADJ", adjectives),
  ...entries("NOUN", nouns),
  ...entries("VERB", verbs),
  ...entries("ADV", adverbs),
  ...entries("ADP", adpositions),
  ...entries("SYM", symbols),
]);

function entries(tag: PartOfSpeech, words: string): [string, PartOfSpeech][] {
  return words.trim().split(/\s+/).map((word) => [word, tag]);
}
