import type { Random } from "../../random.ts";
import type { Scene } from "./field.ts";
import { hilarDensity } from "./soft_tissue.ts";
import { growTree } from "./vessels.ts";

const VESSEL_TREE = { trunks: 7, generations: 4, radius: 0.02, taper: 0.72, length: 0.14, bend: 0.34 } as const;
const VESSEL_DENSITY = 0.25;
const HILAR_DENSITY = 0.2;
const TEXTURE_DENSITY = 0.03;

/** Grows both lungs' vessels. */
export function growVessels({ map, vessels }: Scene, random: Random): void {
  for (const side of [-1, 1] as const) growTree(vessels, map, random, side, VESSEL_TREE);
}

/** Adds what is left of the vessels, and the fine texture of the tissue between them. */
export function addVessels({ map, attenuation, vessels, noise }: Scene): void {
  const { patient, u, v, lung } = map;
  for (let i = 0; i < attenuation.length; i++) {
    if (lung[i] === 0) continue;
    const texture = noise(u[i] * 6, v[i] * 6 + 9) + noise(u[i] * 14, v[i] * 14) + 0.7 * noise(u[i] * 29 + 5, v[i] * 29);
    const hila = HILAR_DENSITY * hilarDensity(patient.shift, u[i], v[i]);
    attenuation[i] += lung[i] * (VESSEL_DENSITY * patient.vessels * vessels[i] + hila + TEXTURE_DENSITY * texture);
  }
}
