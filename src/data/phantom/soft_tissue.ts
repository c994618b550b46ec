import { domeHeight, type BodyMap } from "./body_map.ts";
import { bell, clamp, step, type Noise } from "./shapes.ts";
import { hilumU, hilumV } from "./vessels.ts";

/**
 * Attenuation of everything soft: trunk, neck, shoulders and arms, mediastinum and heart, abdomen with the stomach's
 * air, breasts, and the air of the lungs and the trachea taken out. 1 is a chest's thickness of soft tissue.
 */
export function addSoftTissue(attenuation: Float32Array, map: BodyMap, noise: Noise): void {
  addTrunk(attenuation, map, noise);
  addArms(attenuation, map);
  addAbdomen(attenuation, map);
  addMediastinum(attenuation, map);
  if (map.patient.breasts > 0) addBreasts(attenuation, map);
  const { patient, inCage, lung } = map;
  for (let i = 0; i < attenuation.length; i++) if (lung[i] > 0) attenuation[i] -= lungAir(patient.aeration, inCage[i]) * lung[i];
}

function addTrunk(attenuation: Float32Array, { patient, u, v }: BodyMap, noise: Noise): void {
  const wall = patient.flank + patient.cage;
  for (let i = 0; i < attenuation.length; i++) {
    const across = Math.abs(u[i]);
    const inTrunk = trunkDistance(wall, across, v[i]);
    if (inTrunk > -TRUNK_EDGE) attenuation[i] += step(inTrunk / TRUNK_EDGE) * (trunkThickness(inTrunk, across) + 0.03 * noise(u[i] * 3.1, v[i] * 3.1));
  }
}

function addArms(attenuation: Float32Array, { patient: { elbow }, u, v }: BodyMap): void {
  for (let i = 0; i < attenuation.length; i++) {
    const across = Math.abs(u[i]);
    if (across > 0.6) attenuation[i] += 0.3 * step(armDistance(u[i] < 0 ? elbow.right : elbow.left, across, v[i]) / 0.09);
  }
}

function addAbdomen(attenuation: Float32Array, map: BodyMap): void {
  const { u, v, inCage, aboveDome } = map;
  for (let i = 0; i < attenuation.length; i++) {
    if (aboveDome[i] < 0.03) attenuation[i] += abdomen(inCage[i], aboveDome[i]) - bubble(map, u[i], v[i], aboveDome[i]);
  }
}

function addMediastinum(attenuation: Float32Array, { patient: { shift }, u, v, inHeart }: BodyMap): void {
  for (let i = 0; i < attenuation.length; i++) {
    attenuation[i] += 0.27 * step(inHeart[i] / 0.07);
    const across = Math.abs(u[i]);
    if (across < 0.65) attenuation[i] += 0.12 * bell(u[i] / 0.22) * step((v[i] + 0.75) / 0.2);
    if (across < 0.25 && v[i] < 0) attenuation[i] -= airway(shift, u[i], v[i]);
  }
}

function addBreasts(attenuation: Float32Array, { patient, u, v }: BodyMap): void {
  for (let i = 0; i < attenuation.length; i++) attenuation[i] += patient.breasts * breast(Math.abs(u[i]), v[i], patient.dome.right);
}

/** Half the width of the skin's edge. */
const TRUNK_EDGE = 0.02;

/** Liver, stomach and gut, denser below the lungs' lowest parts. */
function abdomen(inCage: number, aboveDome: number): number {
  return step((inCage + 0.07) / 0.06) * (0.2 * step(-aboveDome / 0.03) + 0.3 * step((-aboveDome - 0.1) / 0.12));
}

/** The rim of a lung holds less air in the beam than its middle. */
export function lungAir(aeration: number, inCage: number): number {
  return aeration * (0.74 + 0.26 * clamp(inCage / 0.22, 0, 1));
}

function trunkThickness(inTrunk: number, across: number): number {
  const rim = clamp(inTrunk / 0.3, 0, 1);
  return 0.36 + 0.375 * Math.sqrt(rim) * (2 - rim) + 0.14 * bell(across / 0.5);
}

/** Distance inside neck, shoulders and trunk. */
function trunkDistance(wall: number, across: number, v: number): number {
  const shoulder = v + 1.1 - 0.38 * Math.sqrt(Math.max(across - 0.17, 0));
  const neck = 0.21 - across;
  const below = shoulder > neck ? shoulder : neck;
  const side = wall + (1.25 - wall) * step((-0.3 - v) / 0.22) + 0.03 * clamp(v, -0.3, 1) - across;
  return below < side ? below : side;
}

/** Distance inside an arm, from the shoulder joint to an elbow at the film's lower part. */
function armDistance(elbow: number, across: number, v: number): number {
  const du = elbow - 0.95;
  const dv = 1.1;
  const along = clamp(((across - 0.95) * du + (v + 0.5) * dv) / (du * du + dv * dv), 0, 1);
  const offU = across - 0.95 - along * du;
  const offV = v + 0.5 - along * dv;
  return 0.19 - Math.sqrt(offU * offU + offV * offV);
}

/** Air of the trachea and the main bronchi. */
function airway(shift: number, u: number, v: number): number {
  const trachea = u + 0.01 - shift * step((v + 0.5) / 0.3);
  const above = step((-0.27 - v) / 0.04);
  const tube = 0.2 * bell(trachea / 0.034) * above;
  const bronchus = Math.abs(trachea) - (v + 0.27) * 0.9;
  return tube + 0.1 * bell(bronchus / 0.03) * step((v + 0.29) / 0.03) * step((-0.12 - v) / 0.05);
}

/** Air under the left dome. */
function bubble({ patient }: BodyMap, u: number, v: number, aboveDome: number): number {
  const { bubble: stomach } = patient;
  const x = (u - stomach.u) / stomach.width;
  const y = (v - domeHeight(patient, stomach.u) - stomach.v) / stomach.height;
  return stomach.depth * step((1 - x * x - y * y) / 0.5) * step((-aboveDome - 0.03) / 0.02);
}

/** A veil that ends below in a soft curve. */
function breast(across: number, v: number, dome: number): number {
  const x = (across - 0.46) / 0.36;
  const y = (v - dome + 0.16) / 0.34;
  const inside = 1 - x * x - y * y;
  return inside <= 0 ? 0 : step((inside - 0.25) / 0.5) * step((y + 0.5) / 0.7);
}

/** The white of a hilum's vessels and nodes, for each pixel of the lung. */
export function hilarDensity(shift: number, u: number, v: number): number {
  const side = u < shift ? -1 : 1;
  const x = (u - hilumU(side, shift)) / 0.075;
  const y = (v - hilumV(side)) / 0.12;
  return bell(Math.sqrt(x * x + y * y));
}
