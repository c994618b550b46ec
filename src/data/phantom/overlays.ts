import type { Random } from "../../random.ts";
import { step } from "./shapes.ts";

/** What lies on the detector or the skin: on half of the films a side marker, on some the leads of an ECG. */
export function addOverlays(attenuation: Float32Array, size: number, random: Random): void {
  if (random.chance(0.5)) addMarker(attenuation, size, random);
  if (!random.chance(0.3)) return;
  for (let lead = random.integer(3); lead >= 0; lead--) addLead(attenuation, size, random);
}

type Stroke = readonly [x0: number, y0: number, x1: number, y1: number];

/** Letters of the side markers, one unit wide, two high. */
const LETTERS: { readonly L: readonly Stroke[]; readonly R: readonly Stroke[] } = {
  L: [
    [0, 0, 0, 2],
    [0, 2, 1, 2],
  ],
  R: [
    [0, 0, 0, 2],
    [0, 0, 0.8, 0],
    [0.8, 0, 1, 0.5],
    [1, 0.5, 0.8, 1],
    [0.8, 1, 0, 1],
    [0.4, 1, 1, 2],
  ],
};

/** Lead letters: L beside the patient's left, which is the image's right, or R beside the right. */
function addMarker(attenuation: Float32Array, size: number, random: Random): void {
  const letter = random.choose(["L", "R"] as const);
  const height = random.uniform(0.05, 0.065);
  const left = letter === "L" ? random.uniform(0.72, 0.85) : random.uniform(-0.88, -0.76);
  const top = random.uniform(-0.9, -0.72);
  for (const [x0, y0, x1, y1] of LETTERS[letter]) {
    addLine(attenuation, size, [left + x0 * height, top + y0 * height, left + x1 * height, top + y1 * height], 0.008, 1.2);
  }
}

/** A wire that leaves the film at its lower edge, and the electrode at its end. */
function addLead(attenuation: Float32Array, size: number, random: Random): void {
  const [x, y] = [random.uniform(-0.65, 0.65), random.uniform(-0.6, 0.3)];
  const drift = random.uniform(-0.5, 0.5);
  const sag = random.uniform(-0.35, 0.35);
  const pieces = 12;
  const point = (piece: number): [number, number] => {
    const t = piece / pieces;
    return [x + drift * t + sag * t * (1 - t), y + (1.05 - y) * t];
  };
  for (let piece = 0; piece < pieces; piece++) addLine(attenuation, size, [...point(piece), ...point(piece + 1)], 0.009, 0.24);
  addDisc(attenuation, size, x, y, 0.045, 0.06);
  addDisc(attenuation, size, x, y, 0.02, 0.25);
}

/** A straight line with square ends, in image coordinates. */
function addLine(attenuation: Float32Array, size: number, [x0, y0, x1, y1]: Stroke, radius: number, density: number): void {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = Math.sqrt(dx * dx + dy * dy);
  const inside = (x: number, y: number) => {
    const along = ((x - x0) * dx + (y - y0) * dy) / length;
    if (along < 0 || along >= length) return -1;
    return radius - Math.abs((x - x0) * dy - (y - y0) * dx) / length;
  };
  addShape(attenuation, size, [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)], radius, density, inside);
}

function addDisc(attenuation: Float32Array, size: number, x: number, y: number, radius: number, density: number): void {
  const inside = (atX: number, atY: number) => radius - Math.sqrt((atX - x) * (atX - x) + (atY - y) * (atY - y));
  addShape(attenuation, size, [x, y, x, y], radius, density, inside);
}

/** Adds `density` where a distance is positive, within a box and `radius` around it; edges are a pixel soft. */
function addShape(
  attenuation: Float32Array,
  size: number,
  [left, top, right, bottom]: Stroke,
  radius: number,
  density: number,
  inside: (x: number, y: number) => number,
): void {
  const toPixel = (at: number) => Math.min(Math.max(Math.floor(((at + 1) * size) / 2), 0), size - 1);
  const [lastColumn, lastRow] = [toPixel(right + radius), toPixel(bottom + radius)];
  for (let row = toPixel(top - radius); row <= lastRow; row++) {
    for (let column = toPixel(left - radius); column <= lastColumn; column++) {
      const distance = inside(((column + 0.5) / size) * 2 - 1, ((row + 0.5) / size) * 2 - 1);
      attenuation[row * size + column] += density * step(distance * size);
    }
  }
}
