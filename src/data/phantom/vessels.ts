import { imagePlace, type BodyMap } from "./body_map.ts";
import type { Random } from "../../random.ts";

/** How a tree of tubes grows from the hilum into one lung. */
export interface TreeShape {
  /** Branches that leave the hilum. */
  readonly trunks: number;
  readonly generations: number;
  /** Radius of a trunk; each generation is `taper` of the last. */
  readonly radius: number;
  readonly taper: number;
  /** Length of a branch of the first generation. */
  readonly length: number;
  /** How much branches bend, as the tangent of the largest angle of a piece. */
  readonly bend: number;
}

/** u of a hilum, -1 for the right lung and 1 for the left. */
export function hilumU(side: -1 | 1, shift: number): number {
  return side * 0.17 + shift;
}

/** v of a hilum: the left one is a little higher. */
export function hilumV(side: -1 | 1): number {
  return side < 0 ? -0.02 : -0.07;
}

/** Adds a tree of tubes to `plane`, by how much of a tube's thickness the X-ray passes: 1 is a trunk's diameter. */
export function growTree(plane: Float32Array, map: BodyMap, random: Random, side: -1 | 1, shape: TreeShape): void {
  const startU = hilumU(side, map.patient.shift);
  const startV = hilumV(side);
  const tube = tubePainter(plane, map, shape.radius);
  const grow = (u: number, v: number, du: number, dv: number, radius: number, length: number, generation: number): void => {
    const pieces = 3;
    for (let piece = 0; piece < pieces; piece++) {
      [du, dv] = turned(du, dv, random.uniform(-shape.bend, shape.bend));
      const nextU = u + (du * length) / pieces;
      const nextV = v + (dv * length) / pieces;
      tube(u, v, nextU, nextV, radius);
      [u, v] = [nextU, nextV];
    }
    if (generation + 1 >= shape.generations) return;
    for (const turn of [-1, 1]) {
      const [branchU, branchV] = turned(du, dv, turn * random.uniform(0.18, 0.62));
      grow(u, v, branchU, branchV, radius * shape.taper, length * random.uniform(0.7, 0.95), generation + 1);
    }
  };
  for (let trunk = 0; trunk < shape.trunks; trunk++) {
    // From steeply up (-1) to steeply down (1), most of them sideways; the lower ones are wider, as blood is heavy.
    const fan = (2 * (trunk + random.uniform(0.2, 0.8))) / shape.trunks - 1;
    const [du, dv] = turned(side, 0, side * fan * (0.9 + 1.6 * fan * fan));
    const radius = shape.radius * (0.9 + 0.25 * fan);
    const [u, v] = [startU + random.uniform(-0.02, 0.02), startV + 0.08 * fan];
    grow(u, v, du, dv, radius, shape.length * random.uniform(0.8, 1.2), 0);
  }
}

/** A unit vector turned by an angle whose tangent is given. */
function turned(du: number, dv: number, tangent: number): [du: number, dv: number] {
  const length = Math.sqrt(1 + tangent * tangent);
  return [(du - dv * tangent) / length, (dv + du * tangent) / length];
}

/** Adds straight tubes between points of the body; those thinner than a pixel become fainter instead. */
function tubePainter(plane: Float32Array, { size, patient }: BodyMap, unit: number) {
  const toPixel = size / 2;
  const place = (u: number, v: number) => imagePlace(patient, u, v).map((at) => (at + 1) * toPixel - 0.5);
  return (u0: number, v0: number, u1: number, v1: number, radius: number): void => {
    const [x0, y0] = place(u0, v0);
    const [x1, y1] = place(u1, v1);
    const drawn = Math.max(radius * toPixel, 0.9);
    const strength = (radius / unit) * ((radius * toPixel) / drawn);
    const [dx, dy] = [x1 - x0, y1 - y0];
    const lengthSquare = dx * dx + dy * dy + 1e-9;
    const top = Math.max(Math.ceil(Math.min(y0, y1) - drawn), 0);
    const bottom = Math.min(Math.floor(Math.max(y0, y1) + drawn), size - 1);
    const left = Math.max(Math.ceil(Math.min(x0, x1) - drawn), 0);
    const right = Math.min(Math.floor(Math.max(x0, x1) + drawn), size - 1);
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const along = Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / lengthSquare, 0), 1);
        const offX = x - x0 - along * dx;
        const offY = y - y0 - along * dy;
        const inside = 1 - (offX * offX + offY * offY) / (drawn * drawn);
        if (inside > 0) plane[y * size + x] = Math.max(plane[y * size + x], strength * Math.sqrt(inside));
      }
    }
  };
}
