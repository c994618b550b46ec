import type { Finding, PhantomLabel, Severity, Side, Zone } from "./findings.ts";
import type { Random } from "../../random.ts";

/** A stretch of a caption, in UTF-16 units, and what it speaks of: the targets of the encoder's attribute objective. */
export interface CaptionSegment {
  readonly start: number;
  readonly end: number;
  /** Index of the film's finding; null for a statement that something is normal. */
  readonly finding: number | null;
  /** Side and zone as far as the words tell them. */
  readonly side: Side;
  readonly zone: Zone;
}

/** What joins a film's phrases. Words outside of all segments (joints, commas, full stops) speak of nothing. */
export interface Caption {
  readonly text: string;
  readonly segments: readonly CaptionSegment[];
}

/** A finding in words, and the side and zone that these name. */
export interface Phrase {
  readonly text: string;
  readonly side: Side;
  readonly zone: Zone;
}

/**
 * Templates of each finding. {severity} and {severely} are its degree or size, {side} is left or right, {place} a part
 * of the lung as a noun ("left lower lobe"), {placed} one that may stand before a noun.
 */
const TEMPLATES: Readonly<Record<PhantomLabel, readonly string[]>> = {
  Atelectasis: [
    "{placed} atelectasis",
    "linear atelectasis in the {place}",
    "linear {placed} atelectasis",
    "plate-like atelectasis in the {place}",
    "band-like {placed} atelectasis",
    "subsegmental atelectasis in the {place}",
    "volume loss in the {place} consistent with atelectasis",
  ],
  Cardiomegaly: [
    "cardiomegaly",
    "{severity} cardiomegaly",
    "enlarged cardiac silhouette",
    "{severity} enlargement of the cardiac silhouette",
    "the heart is enlarged",
    "the heart is {severely} enlarged",
    "{severely} enlarged heart",
    "enlarged heart consistent with {severity} cardiomegaly",
  ],
  Consolidation: [
    "{placed} consolidation",
    "consolidation in the {place}",
    "dense consolidation in the {place}",
    "{placed} airspace consolidation",
    "focal consolidation of the {place}",
    "in the {place} there is dense consolidation",
    "airspace disease in the {place} consistent with consolidation",
  ],
  Edema: [
    "bilateral pulmonary edema",
    "{severity} pulmonary edema",
    "perihilar pulmonary edema",
    "{severity} bilateral perihilar edema",
    "{severity} interstitial edema",
    "vascular congestion consistent with {severity} edema",
    "bilateral perihilar haze consistent with {severity} edema",
  ],
  "Lung Opacity": [
    "{placed} opacity",
    "{severity} {placed} opacity",
    "{severity} opacity in the {place}",
    "ill-defined opacity in the {place}",
    "ground-glass opacity in the {place}",
    "vague opacity projecting over the {place}",
    "in the {place} there is {severity} opacity",
  ],
  "Pleural Effusion": [
    "{side} pleural effusion",
    "{severity} {side} pleural effusion",
    "{severity} {side}-sided pleural effusion",
    "{severity} pleural effusion on the {side}",
    "{severity} effusion at the {side} base",
    "on the {side} there is a {severity} pleural effusion",
    "fluid at the {side} base consistent with {severity} pleural effusion",
  ],
  Pneumonia: [
    "{placed} pneumonia",
    "patchy {placed} pneumonia",
    "multifocal pneumonia in the {place}",
    "patchy infiltrate in the {place} consistent with pneumonia",
    "infiltrate in the {place} concerning for pneumonia",
    "{placed} infiltrate suspicious for pneumonia",
  ],
  Pneumothorax: [
    "{side} pneumothorax",
    "{severity} {side} pneumothorax",
    "{severity} {side}-sided pneumothorax",
    "{severity} pneumothorax on the {side}",
    "{side} pleural line consistent with {severity} pneumothorax",
  ],
};

const APICAL_PNEUMOTHORAX = [
  "{side} apical pneumothorax",
  "{severity} {side} apical pneumothorax",
  "{severity} pneumothorax at the {side} apex",
  "pleural line at the {side} apex consistent with {severity} pneumothorax",
];
const BASILAR_ATELECTASIS = "{side} basilar atelectasis";
const BLUNTED_ANGLE = "blunting of the {side} costophrenic angle consistent with small effusion";

/** Phrases that name no place. */
const BARE: Readonly<Partial<Record<PhantomLabel, readonly string[]>>> = {
  Atelectasis: ["atelectasis", "linear atelectasis", "plate-like atelectasis"],
  Consolidation: ["consolidation", "dense consolidation", "airspace consolidation"],
  "Lung Opacity": ["opacity", "{severity} opacity", "ill-defined opacity"],
  "Pleural Effusion": ["pleural effusion", "{severity} pleural effusion"],
  Pneumonia: ["pneumonia", "multifocal pneumonia"],
  Pneumothorax: ["pneumothorax", "{severity} pneumothorax"],
};

const DEGREES = ["mild", "moderate", "severe"];
const SIZES = ["small", "moderate", "large"];
const SEVERITY_WORDS: Readonly<Partial<Record<PhantomLabel, readonly string[]>>> = {
  Cardiomegaly: DEGREES,
  Edema: DEGREES,
  "Lung Opacity": ["faint", "hazy", "large hazy"],
  "Pleural Effusion": SIZES,
  Pneumothorax: SIZES,
};
const ADVERBS = ["mildly", "moderately", "severely"];

const NORMAL_FILM = [
  "no acute cardiopulmonary process",
  "no acute cardiopulmonary abnormality",
  "normal chest radiograph",
  "clear lungs",
  "the lungs are clear",
];
const CLEAR_LUNG = ["the {side} lung is clear", "clear {side} lung"];
const NORMAL_HEART = ["normal heart size", "the heart is normal in size", "normal cardiac silhouette"];
const JOINTS = [" and ", " with ", ". ", ", "];

/** Captions have at most this many words and marks: with start and end they fill 32 tokens. */
export const MAX_CAPTION_WORDS = 30;

/** Share of phrases that name no place, where these are wanted. */
const BARE_SHARE = 0.12;

/** How often something is called normal that could be. */
const NORMAL_SHARE = 0.25;

/** A finding in the words of a report. @param bare whether the phrase may leave out where it is */
export function drawPhrase(random: Random, finding: Finding, bare: boolean): Phrase {
  const bareTemplates = bare && random.chance(BARE_SHARE) ? BARE[finding.label] : undefined;
  const text = fill(random.choose(bareTemplates ?? templatesOf(finding)), finding, random);
  if (!bareTemplates) return { text, side: finding.side, zone: finding.zone };
  return { text, side: "none", zone: finding.label === "Pleural Effusion" ? "lower" : "none" };
}

/** Joins phrases and statements that the rest is normal, in random order, within the longest caption. */
export function drawCaption(random: Random, findings: readonly Finding[], phrases: readonly Phrase[]): Caption {
  const parts = random.shuffle([...phrases.map((phrase, finding) => ({ ...phrase, finding })), ...normalParts(random, findings)]);
  let text = "";
  const segments = parts.map(({ text: words, finding, side, zone }) => {
    if (text !== "") text += random.choose(JOINTS);
    const start = text.length;
    text += words;
    return { start, end: text.length, finding, side, zone };
  });
  return { text, segments };
}

/** Words and marks of a text, as BERT parts them. */
export function countWords(text: string): number {
  return splitIntoWords(text).length;
}

/** Every word and mark that captions use, sorted: the word-level vocabulary without special tokens. */
export function captionVocabulary(): string[] {
  const templates = [TEMPLATES, BARE, SEVERITY_WORDS].flatMap((lists) => Object.values(lists).flat());
  const others = [APICAL_PNEUMOTHORAX, BASILAR_ATELECTASIS, BLUNTED_ANGLE, ADVERBS, NORMAL_FILM, CLEAR_LUNG, NORMAL_HEART, JOINTS];
  const places = (["left", "right"] as const).flatMap((side) => (["upper", "mid", "lower"] as const).flatMap((zone) => placeNames(side, zone)));
  const words = [...templates, ...others.flat(), ...places].flatMap((text) => splitIntoWords(text.replace(/\{\w+\}/g, " ")));
  return [...new Set(words)].sort();
}

function splitIntoWords(text: string): string[] {
  return text.match(/[a-z]+|[^a-z\s]/g) ?? [];
}

function templatesOf({ label, zone, severity }: Finding): readonly string[] {
  if (label === "Pneumothorax" && zone === "upper") return APICAL_PNEUMOTHORAX;
  if (label === "Atelectasis" && zone === "lower") return [...TEMPLATES.Atelectasis, BASILAR_ATELECTASIS];
  if (label === "Pleural Effusion" && severity === 0) return [...TEMPLATES[label], BLUNTED_ANGLE];
  return TEMPLATES[label];
}

function fill(template: string, { label, side, zone, severity }: Finding, random: Random): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (name === "severity") return SEVERITY_WORDS[label]?.[severity as Severity] ?? "";
    if (name === "severely") return ADVERBS[severity];
    if (name === "side") return side;
    const places = placeNames(side, zone);
    return random.choose(name === "place" ? places : places.filter((place) => place !== LINGULA));
  });
}

const LINGULA = "lingula";

/** Names of a third of a lung. */
function placeNames(side: Side, zone: Zone): string[] {
  const general = [`${side} ${zone} lung`, `${side} ${zone} lung zone`];
  if (zone === "mid") return [...general, side === "right" ? "right middle lobe" : LINGULA];
  const lobe = `${side} ${zone} lobe`;
  return zone === "lower" ? [...general, lobe, `${side} lung base`] : [...general, lobe];
}

/** Statements that what no finding touches is normal. */
function normalParts(random: Random, findings: readonly Finding[]) {
  const normal = (text: string, side: Side) => ({ text, finding: null, side, zone: "none" as const });
  if (findings.length === 0) return [normal(random.choose(NORMAL_FILM), "none")];
  const parts = [];
  for (const side of ["right", "left"] as const) {
    const isTouched = findings.some((finding) => finding.side === side || finding.side === "both");
    if (!isTouched && random.chance(NORMAL_SHARE)) parts.push(normal(random.choose(CLEAR_LUNG).replace("{side}", side), side));
  }
  const isLarge = findings.some(({ label }) => label === "Cardiomegaly");
  if (!isLarge && random.chance(NORMAL_SHARE)) parts.push(normal(random.choose(NORMAL_HEART), "none"));
  return parts;
}
