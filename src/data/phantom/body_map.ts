import type { Patient } from "./patient.ts";
import { bell, clamp, smoothMax, smoothMin, step, wave } from "./shapes.ts";

/** Where each pixel of a film lies in the patient's body; every plane has size * size values, rows from the top. */
export interface BodyMap {
  readonly size: number;
  readonly patient: Patient;
  /** Across and down the body; positive u is the patient's left, the image's right. */
  readonly u: Float32Array;
  readonly v: Float32Array;
  /** Distance inside the rib cage's lateral edge. */
  readonly inCage: Float32Array;
  /** Distance outside the mediastinum, the heart left out. */
  readonly beside: Float32Array;
  /** Distance above the diaphragm. */
  readonly aboveDome: Float32Array;
  /** Distance inside the heart's edge. */
  readonly inHeart: Float32Array;
  /** Share of each pixel that is lung with nothing before it, 0 to 1. */
  readonly lung: Float32Array;
}

/** Softness of edges that move with breath and heartbeat, half the width of the transition. */
const EDGE = 0.02;

export function mapBody(size: number, patient: Patient): BodyMap {
  const plane = () => new Float32Array(size * size);
  const map: BodyMap = {
    size,
    patient,
    u: plane(),
    v: plane(),
    inCage: plane(),
    beside: plane(),
    aboveDome: plane(),
    inHeart: plane(),
    lung: plane(),
  };
  // A short loop for each plane: engines then inline what it calls, which is several times as fast as one long loop.
  placeBody(map);
  mapThorax(map);
  mapHeart(map);
  mapLungs(map);
  return map;
}

function mapThorax({ patient, u, v, inCage, beside, aboveDome }: BodyMap): void {
  for (let i = 0; i < u.length; i++) inCage[i] = cageDistance(patient, u[i], v[i]);
  for (let i = 0; i < u.length; i++) beside[i] = mediastinumDistance(patient, u[i], v[i]);
  for (let i = 0; i < u.length; i++) aboveDome[i] = domeHeight(patient, u[i]) - v[i];
}

function mapHeart({ patient, u, v, inHeart }: BodyMap): void {
  const heart = heartDistance(patient);
  for (let i = 0; i < u.length; i++) inHeart[i] = heart(u[i], v[i]);
}

function mapLungs({ inCage, beside, aboveDome, inHeart, lung }: BodyMap): void {
  for (let i = 0; i < lung.length; i++) {
    const free = smoothMin(beside[i], -inHeart[i], 0.12);
    const within = smoothMin(inCage[i], free, 0.07);
    lung[i] = within < -EDGE || aboveDome[i] < -EDGE ? 0 : step(within / EDGE) * step(aboveDome[i] / EDGE);
  }
}

/** From image to body coordinates: moved, turned, scaled, and slightly bent. */
function placeBody({ size, patient, u, v }: BodyMap): void {
  const { turn, scale, breadth, bend } = patient;
  const length = Math.sqrt(1 + turn * turn) * scale;
  for (let row = 0, i = 0; row < size; row++) {
    const y = ((row + 0.5) / size) * 2 - 1 - patient.y;
    for (let column = 0; column < size; column++, i++) {
      const x = ((column + 0.5) / size) * 2 - 1 - patient.x;
      const straight = (y - x * turn) / length;
      u[i] = ((x + y * turn) / length) * breadth + 0.012 * wave(0.48 * straight + bend[0]);
      v[i] = straight + 0.012 * wave(0.48 * u[i] + bend[1]);
    }
  }
}

/** From body to image coordinates, the bend left out. */
export function imagePlace({ turn, scale, breadth, x: left, y: top }: Patient, u: number, v: number): [x: number, y: number] {
  const length = scale / Math.sqrt(1 + turn * turn);
  const across = u / breadth;
  return [left + (across - v * turn) * length, top + (v + across * turn) * length];
}

/** Distance inside the rib cage, an egg that is round at the top and straight at the sides. */
export function cageDistance({ cage, widest, apex }: Patient, u: number, v: number): number {
  const height = widest - apex;
  const rise = clamp((widest - v) / height, 0, 2);
  const below = clamp((v - widest) / height, 0, 1);
  const value = 1 - rise * rise * rise - (u * u) / (cage * cage) - 0.1 * below;
  const slopeU = (2 * u) / (cage * cage);
  const slopeV = (3 * rise * rise) / height;
  return value / Math.sqrt(slopeU * slopeU + slopeV * slopeV + 0.5);
}

/** From the midline to the rib cage's edge at v. */
export function cageHalfWidth({ cage, widest, apex }: Patient, v: number): number {
  const rise = clamp((widest - v) / (widest - apex), 0, 1);
  return cage * Math.sqrt(1 - rise * rise * rise);
}

/** Spine and great vessels; on the left the aortic knob and the pulmonary trunk bulge. */
function mediastinumDistance({ mediastinum, knob, shift, apex }: Patient, u: number, v: number): number {
  const centred = u - shift * step((v + 0.3) / 0.5);
  const top = step((apex + 0.42 - v) / 0.4);
  const edge = mediastinum - 0.02 * step((v - 0.2) / 0.4) + 0.05 * top * top;
  if (centred < 0) return -centred - edge - 0.012 * wave(0.7 * v);
  const aorta = knob * hump((v + 0.36) / 0.13);
  const trunk = 0.04 * bell((v + 0.1) / 0.13);
  return centred - edge + 0.02 - aorta - trunk;
}

function hump(x: number): number {
  const inside = 1 - x * x;
  return inside > 0 ? Math.sqrt(inside) * inside : 0;
}

/** v of the diaphragm: highest between middle and side, steep towards the costophrenic angle. */
export function domeHeight({ dome }: Patient, u: number): number {
  const across = Math.abs(u) - 0.33;
  const side = dome.right + (dome.left - dome.right) * step(u / 0.15);
  return side + (across > 0 ? 0.95 * across * across * (1 + across) : 0.5 * across * across);
}

/** Left ventricle and right atrium: two ellipses that flow into each other. */
function heartDistance({ cage, dome, heartRatio, heartTilt, shift }: Patient): (u: number, v: number) => number {
  const width = heartRatio * 2 * cage * 0.97;
  const ventricle = { long: 0.46 * width + 0.07, short: 0.33 * width + 0.01 };
  const length = Math.sqrt(1 + heartTilt * heartTilt);
  const cos = 1 / length;
  const sin = heartTilt / length;
  const reach = extent(ventricle.long * cos, ventricle.short * sin);
  const depth = extent(ventricle.long * sin, ventricle.short * cos);
  const centreU = shift + 0.69 * width - reach;
  const centreV = dome.left + 0.09 - depth;
  const atrium = { width: 0.24 * width + 0.03, height: 0.36 * width + 0.07 };
  const atriumU = shift - 0.31 * width + atrium.width;
  const atriumV = dome.right + 0.06 - atrium.height;
  return (u, v) => {
    if (Math.abs(v - centreV) > ventricle.long + 0.2) return -0.5; // far from every edge
    const along = ((u - centreU) * cos + (v - centreV) * sin) / ventricle.long;
    const across = ((v - centreV) * cos - (u - centreU) * sin) / ventricle.short;
    const inVentricle = (1 - Math.sqrt(along * along + across * across)) * ventricle.short;
    const atriumX = (u - atriumU) / atrium.width;
    const atriumY = (v - atriumV) / atrium.height;
    const inAtrium = (1 - Math.sqrt(atriumX * atriumX + atriumY * atriumY)) * atrium.width;
    return smoothMax(inVentricle, inAtrium, 0.12);
  };
}

/** Half the extent of a turned ellipse along an axis, from its half-axes' shares of that axis. */
function extent(a: number, b: number): number {
  return Math.sqrt(a * a + b * b);
}
