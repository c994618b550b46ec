import type { BodyMap } from "./body_map.ts";
import type { Noise } from "./shapes.ts";

/** A film while it is drawn: what the findings change. */
export interface Scene {
  readonly map: BodyMap;
  /** 1 is a chest's thickness of soft tissue. */
  readonly attenuation: Float32Array;
  /** The tubes of the lungs' vessels, 1 for a trunk's diameter; counts where there is lung. */
  readonly vessels: Float32Array;
  /** Fine disorder, the same for the whole film. */
  readonly noise: Noise;
}

/** -1 is the patient's right, the image's left. */
export type SideSign = -1 | 1;

/**
 * A finding's own field: `shape` in the lung of one side, 0 elsewhere.
 * @param shape 0 to 1 by the distance from the midline, v and the pixel's index
 */
export function fieldInLung({ map }: Scene, side: SideSign, shape: (across: number, v: number, i: number) => number): Float32Array {
  const field = new Float32Array(map.u.length);
  for (let i = 0; i < field.length; i++) {
    const across = map.u[i] * side;
    if (across > 0 && map.lung[i] > 0) field[i] = shape(across, map.v[i], i) * map.lung[i];
  }
  return field;
}

/** Adds `density` where a field is; there `veil` of the vessels is lost. */
export function addField({ attenuation, vessels }: Scene, field: Float32Array, density: (i: number) => number, veil: number): void {
  for (let i = 0; i < field.length; i++) {
    if (field[i] === 0) continue;
    attenuation[i] += density(i) * field[i];
    vessels[i] *= 1 - veil * field[i];
  }
}
