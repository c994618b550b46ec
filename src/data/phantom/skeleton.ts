import type { BodyMap } from "./body_map.ts";
import type { Patient } from "./patient.ts";
import { bell, clamp, step, wave } from "./shapes.ts";

/**
 * Adds spine, ribs, clavicles, shoulder blades and upper arms to the attenuation of all that is soft. Where that is
 * dense, as before heart, liver and fluid, scatter takes the contrast of the ribs.
 */
export function addSkeleton(attenuation: Float32Array, map: BodyMap): void {
  addRibs(attenuation, map);
  const { patient, u, v } = map;
  for (let i = 0; i < attenuation.length; i++) if (Math.abs(u[i]) < 0.125) attenuation[i] += spine(patient, u[i], v[i]);
  for (let i = 0; i < attenuation.length; i++) {
    if (v[i] < -0.4) attenuation[i] += clavicle(Math.abs(u[i]), v[i] - (u[i] < 0 ? patient.clavicle.right : patient.clavicle.left));
  }
  for (let i = 0; i < attenuation.length; i++) if (Math.abs(u[i]) > 0.5) attenuation[i] += shoulder(Math.abs(u[i]), v[i]);
}

function addRibs(attenuation: Float32Array, { patient, u, v, inCage, aboveDome }: BodyMap): void {
  for (let i = 0; i < attenuation.length; i++) {
    if (inCage[i] < -0.045 || aboveDome[i] < -0.45) continue;
    const contrast = 1 - 0.6 * step((attenuation[i] - 0.75) / 0.25);
    attenuation[i] += contrast * ribs(patient, Math.abs(u[i]), v[i], inCage[i]) * step((aboveDome[i] + 0.25) / 0.2);
  }
}

/** Vertebrae between darker discs, with the bright rings of their pedicles. */
function spine({ ribs }: Patient, u: number, v: number): number {
  const column = 0.2 * step((0.095 - Math.abs(u)) / 0.03);
  const height = v / (ribs.spacing * 0.86) + ribs.phase;
  const disc = bell((height - Math.floor(height) - 0.5) / 0.16);
  const pedicle = bell((Math.abs(u) - 0.055) / 0.018) * (0.5 + 0.5 * wave(height));
  return column * (1 - 0.45 * disc) + 0.3 * pedicle * column + 0.07 * bell(u / 0.014) * (0.5 + 0.5 * wave(height + 0.3));
}

/** The nearly level ribs of the back, and those of the front that slope down to the middle and fade into cartilage. */
function ribs({ ribs: { spacing, phase, slope, density }, cage, apex }: Patient, across: number, v: number, inCage: number): number {
  const top = step((apex + 0.3 - v) / 0.3);
  const outward = across - 0.2;
  const back = (v - (0.36 + 0.85 * top) * outward * outward - 0.05 * across) / spacing + phase;
  const tangent = 1 + 0.45 * step((0.07 - inCage) / 0.06);
  const within = step((inCage + 0.025) / 0.02);
  const behind = density * tangent * ribProfile(back, 0.235) * step((across - 0.09) / 0.03);
  const toMiddle = cage - across;
  const front = (v - slope * toMiddle + 0.25 * toMiddle * toMiddle) / (spacing * 1.16) + 1.7 * phase;
  const cartilage = step((across - 0.36) / 0.13);
  const before = 0.5 * density * ribProfile(front, 0.27) * cartilage * step((v + 0.62) / 0.15);
  return within * (behind + before + 0.05 * bell(inCage / 0.02));
}

/** Across one rib: a faint middle between bright walls, the lower one brighter. */
function ribProfile(position: number, halfWidth: number): number {
  const offset = position - Math.floor(position + 0.5);
  const inside = halfWidth - Math.abs(offset);
  if (inside < -0.1) return 0;
  const wall = bell((inside - 0.045) / 0.05) * (offset > 0 ? 0.75 : 0.5);
  return 0.55 * step(inside / 0.05) + 0.8 * wall;
}

/** A shaft from the breastbone up to the shoulder, with bright edges. */
function clavicle(across: number, v: number): number {
  const outward = across - 0.08;
  const middle = -0.585 - 0.36 * outward + 0.55 * outward * outward * (1.15 - across);
  const offset = (v - middle) / (0.026 + 0.012 * bell((across - 0.08) / 0.08));
  const along = step((across - 0.085) / 0.02) * step((0.86 - across) / 0.05);
  return along * (0.14 * step((1 - Math.abs(offset)) / 0.4) + 0.09 * bell((Math.abs(offset) - 0.8) / 0.25));
}

/** Shoulder blade and head of the upper arm. */
function shoulder(across: number, v: number): number {
  const border = across - 0.72 + 0.16 * (v + 0.3);
  const height = step((v + 0.66) / 0.06) * step((0.02 - v - 0.35 * clamp(border, 0, 1)) / 0.06);
  const blade = height * (0.07 * step(border / 0.02) + 0.1 * bell((border - 0.015) / 0.018));
  const x = across - 0.99;
  const y = v + 0.56;
  const head = 0.125 - Math.sqrt(x * x + y * y);
  const shaft = 0.055 - Math.abs(x - 0.03 - 0.1 * y);
  return blade + 0.12 * step(head / 0.02) + 0.07 * bell((head - 0.02) / 0.02) + 0.14 * step(shaft / 0.02) * step(y / 0.05);
}
