import { cageDistance } from "./body_map.ts";
import type { Finding } from "./findings.ts";
import type { Random } from "../../random.ts";
import { addField, fieldInLung, type Scene, type SideSign } from "./field.ts";
import { clamp, step } from "./shapes.ts";
import { lungAir } from "./soft_tissue.ts";
import { hilumU, hilumV } from "./vessels.ts";

/**
 * Air beside a lung that has shrunk towards its hilum: black, without vessels, behind the bright line of the pleura.
 * An apical one lies over the top of the lung only.
 * @returns the field of the air
 */
export function drawPneumothorax(scene: Scene, { severity, zone }: Finding, side: SideSign, random: Random): Float32Array {
  const { map, attenuation } = scene;
  const { patient, u, v, lung } = map;
  const isApical = zone === "upper";
  const shrunk = [0.78, 0.67, 0.55][severity] + random.uniform(-0.03, 0.03) - (isApical ? 0.06 : 0);
  const lowest = isApical ? [-0.3, -0.18, -0.02][severity] : 2;
  const centreU = hilumU(side, patient.shift);
  const centreV = isApical ? 0.3 : hilumV(side) + 0.12;
  const inner = (across: number, i: number) => {
    const share = 1 - (1 - shrunk) * step((lowest - v[i]) / 0.22);
    const outward = Math.max(across - centreU * side, 0) / share;
    return step(cageDistance(patient, centreU + outward * side, centreV + (v[i] - centreV) / share) / 0.022);
  };
  const air = fieldInLung(scene, side, (across, _, i) => 1 - inner(across, i));
  for (let i = 0; i < air.length; i++) {
    if (lung[i] === 0 || u[i] * side <= 0) continue;
    const collapsed = lung[i] - air[i];
    attenuation[i] += 0.25 * 4 * air[i] * (1 - air[i]) * lung[i] + 0.05 * (1 + severity) * collapsed;
  }
  addField(scene, air, () => -0.17 - 0.02 * severity, 1);
  return air;
}

/** Fluid at the bottom of a lung's space, with a meniscus that climbs at the side. @returns the field of the fluid */
export function drawEffusion(scene: Scene, { severity }: Finding, side: SideSign, random: Random): Float32Array {
  const { patient, inCage } = scene.map;
  const dome = side < 0 ? patient.dome.right : patient.dome.left;
  const height = [0.04, 0.24, 0.54][severity] + random.uniform(-0.02, 0.03);
  const climb = random.uniform(0.5, 0.7) * height + 0.05;
  const level = (across: number) => {
    const lateral = clamp((across - 0.12) / 0.6, 0, 1.1);
    return dome + 0.05 - height - climb * lateral * lateral * lateral;
  };
  const fluid = fieldInLung(scene, side, (across, v) => step((v - level(across)) / 0.028));
  const haze = fieldInLung(scene, side, (across, v) => step((v - level(across) + 0.08) / 0.1));
  addField(scene, haze, () => 0.08, 0.3);
  addField(scene, fluid, (i) => 0.95 * lungAir(patient.aeration, inCage[i]), 1);
  return fluid;
}
