import type { Random } from "../../random.ts";

/** The eight findings of MS-CXR. */
export const phantomLabels = [
  "Atelectasis",
  "Cardiomegaly",
  "Consolidation",
  "Edema",
  "Lung Opacity",
  "Pleural Effusion",
  "Pneumonia",
  "Pneumothorax",
] as const;
export type PhantomLabel = (typeof phantomLabels)[number];

/** The patient's side: left is on the image's right. `none` is the heart. */
export type Side = "left" | "right" | "both" | "none";
/** The third of the lung; `none` where the finding has no such place. */
export type Zone = "upper" | "mid" | "lower" | "none";
/** 0 is mild, small or faint; 1 moderate; 2 severe or large. */
export type Severity = 0 | 1 | 2;

/** What is wrong, where and how much, before it is drawn. */
export interface Finding {
  readonly label: PhantomLabel;
  readonly side: Side;
  readonly zone: Zone;
  readonly severity: Severity;
}

/** How many films have 0, 1, 2 and 3 findings. */
export const findingCounts = [0.08, 0.3, 0.42, 0.2] as const;

/**
 * How often each label is tried. Hearts get along with most findings and edemas with few, which these weights make up
 * for: no label is on twice as many films as another.
 */
const LABEL_WEIGHTS: Readonly<Record<PhantomLabel, number>> = {
  Atelectasis: 1,
  Cardiomegaly: 0.5,
  Consolidation: 1,
  Edema: 2.2,
  "Lung Opacity": 1,
  "Pleural Effusion": 0.65,
  Pneumonia: 1,
  Pneumothorax: 0.9,
};

/** A finding of this label, with side, zone and severity at random. */
export function drawFinding(random: Random, label: PhantomLabel): Finding {
  const severity = random.integer(3) as Severity;
  const side = random.choose(["left", "right"] as const);
  switch (label) {
    case "Cardiomegaly":
      return { label, side: "none", zone: "none", severity };
    case "Edema":
      return { label, side: "both", zone: "none", severity };
    case "Pleural Effusion":
      return { label, side, zone: "lower", severity };
    case "Pneumothorax":
      return { label, side, zone: random.choose(["upper", "none"] as const), severity };
    case "Atelectasis":
      return { label, side, zone: random.choose(["upper", "mid", "lower"] as const, [0.1, 0.3, 0.6]), severity };
    default:
      return { label, side, zone: random.choose(["upper", "mid", "lower"] as const), severity };
  }
}

/**
 * `count` findings that can be told apart on one film, at most one of a label.
 * @param first the label of the first one; any where absent
 */
export function drawFindings(random: Random, count: number, first?: PhantomLabel): Finding[] {
  const findings: Finding[] = [];
  while (findings.length < count) {
    const label = findings.length === 0 && first ? first : random.choose(phantomLabels, phantomLabels.map((name) => LABEL_WEIGHTS[name]));
    const finding = drawFinding(random, label);
    if (findings.every((other) => canShareFilm(finding, other))) findings.push(finding);
  }
  return findings;
}

/** Whether neither of two findings hides the other. */
function canShareFilm(a: Finding, b: Finding): boolean {
  if (a.label === b.label) return false;
  return canStandBeside(a, b) && canStandBeside(b, a) && (a.side !== b.side || partLung(a, b));
}

/** What the findings of the whole film leave visible. */
function canStandBeside(a: Finding, b: Finding): boolean {
  if (a.label === "Edema") return b.label === "Cardiomegaly" || (b.label === "Pleural Effusion" && b.severity < 2);
  if (a.label === "Cardiomegaly") return b.label !== "Atelectasis" || b.zone !== "lower";
  return true;
}

/** Whether two findings of one lung keep to its upper and to its lower zone. */
function partLung(a: Finding, b: Finding): boolean {
  const zones = [a.zone, b.zone].sort().join();
  const fillsLung = [a, b].some(({ label, severity }) => label === "Pleural Effusion" && severity === 2);
  return zones === "lower,upper" && !fillsLung;
}
