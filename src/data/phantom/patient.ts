import type { Finding } from "./findings.ts";
import type { Random } from "../../random.ts";

/**
 * One patient as the X-ray sees them. Lengths are in half sides of the image: the film spans -1 to 1 both ways, u to
 * the patient's left (the image's right) and v downwards, before the patient is turned, scaled and moved.
 */
export interface Patient {
  readonly turn: number;
  readonly scale: number;
  readonly breadth: number;
  readonly x: number;
  readonly y: number;
  /** Phases of a slight bend of the whole body. */
  readonly bend: readonly [number, number];
  /** Half-width of the rib cage, and the v at which it is reached. */
  readonly cage: number;
  readonly widest: number;
  /** v of the lungs' tops and of the tops of the diaphragm's domes. */
  readonly apex: number;
  readonly dome: { readonly right: number; readonly left: number };
  /** How far the mediastinum is pushed to the patient's left. */
  readonly shift: number;
  /** Half-width of the mediastinum above the heart. */
  readonly mediastinum: number;
  readonly knob: number;
  /** Width of the heart over the inner width of the thorax. */
  readonly heartRatio: number;
  readonly heartTilt: number;
  /** Soft tissue beside the rib cage. */
  readonly flank: number;
  /** Where the elbows are: near the body or outside the film. */
  readonly elbow: { readonly right: number; readonly left: number };
  readonly breasts: number;
  readonly aeration: number;
  readonly ribs: { readonly spacing: number; readonly phase: number; readonly slope: number; readonly density: number };
  readonly clavicle: { readonly right: number; readonly left: number };
  readonly vessels: number;
  readonly bubble: { readonly u: number; readonly v: number; readonly width: number; readonly height: number; readonly depth: number };
}

/** Cardiothoracic ratios: up to 0.5 is normal; mild, moderate and severe enlargement. */
const NORMAL_RATIO = [0.38, 0.47] as const;
const ENLARGED_RATIOS = [
  [0.57, 0.61],
  [0.66, 0.7],
  [0.76, 0.81],
] as const;

/** A patient with the changes of shape that the findings bring: the heart, the domes, the shift of the mediastinum. */
export function drawPatient(random: Random, findings: readonly Finding[]): Patient {
  const { uniform } = random;
  const enlarged = findings.find(({ label }) => label === "Cardiomegaly");
  const [lowRatio, highRatio] = enlarged ? ENLARGED_RATIOS[enlarged.severity] : NORMAL_RATIO;
  const rightDome = uniform(0.37, 0.48);
  const dome = { right: rightDome, left: rightDome + uniform(0.01, 0.08) };
  let shift = 0;
  for (const finding of findings) {
    if (finding.side !== "left" && finding.side !== "right") continue;
    if (finding.label === "Atelectasis" && finding.zone === "lower") dome[finding.side] -= uniform(0.05, 0.12);
    const isWhole = finding.label === "Pneumothorax" && finding.zone === "none";
    if (isWhole) dome[finding.side] += 0.015 * (1 + finding.severity);
    if (isWhole || finding.label === "Pleural Effusion") shift += (finding.side === "left" ? -0.025 : 0.025) * finding.severity;
  }
  return {
    turn: uniform(-0.055, 0.055),
    scale: uniform(0.93, 1.07),
    breadth: uniform(0.95, 1.06),
    x: uniform(-0.05, 0.05),
    y: uniform(-0.04, 0.05),
    bend: [uniform(0, 1), uniform(0, 1)],
    cage: uniform(0.74, 0.81),
    widest: uniform(0.25, 0.42),
    apex: uniform(-0.79, -0.71),
    dome,
    shift,
    mediastinum: uniform(0.115, 0.155),
    knob: uniform(0.025, 0.07),
    heartRatio: uniform(lowRatio, highRatio),
    heartTilt: uniform(0.65, 1.05),
    flank: uniform(0.11, 0.23),
    elbow: { right: uniform(1.02, 1.6), left: uniform(1.02, 1.6) },
    breasts: random.chance(0.4) ? uniform(0.06, 0.16) : 0,
    aeration: uniform(0.52, 0.66),
    ribs: { spacing: uniform(0.155, 0.182), phase: uniform(0, 1), slope: uniform(0.42, 0.7), density: uniform(0.1, 0.15) },
    clavicle: { right: uniform(-0.03, 0.03), left: uniform(-0.03, 0.03) },
    vessels: uniform(0.8, 1.25),
    bubble: { u: uniform(0.26, 0.42), v: uniform(0.1, 0.2), width: uniform(0.08, 0.17), height: uniform(0.05, 0.1), depth: uniform(0.1, 0.45) },
  };
}
