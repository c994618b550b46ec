import { cageHalfWidth } from "./body_map.ts";
import type { Finding, Zone } from "./findings.ts";
import type { Random } from "../../random.ts";
import { addField, fieldInLung, type Scene, type SideSign } from "./field.ts";
import { bell, clamp, step, wave } from "./shapes.ts";
import { growTree, hilumU, hilumV } from "./vessels.ts";

/** From and to which v the middles of the zones lie. */
const ZONE_HEIGHTS: Readonly<Record<Zone, readonly [from: number, to: number]>> = {
  upper: [-0.5, -0.34],
  mid: [-0.2, -0.02],
  lower: [0.12, 0.24],
  none: [-0.1, 0.1],
};

/** The middle of something of half-width `room` in a zone, clear of mediastinum, heart and chest wall. */
function placeInZone({ map: { patient } }: Scene, zone: Zone, side: SideSign, room: number, random: Random): [across: number, v: number] {
  const v = random.uniform(...ZONE_HEIGHTS[zone]);
  const heart = zone !== "lower" ? 0.02 : side > 0 ? 0.2 : 0.06;
  const inner = patient.mediastinum + heart + room;
  const outer = cageHalfWidth(patient, v) - room;
  return [random.uniform(inner, Math.max(inner, outer)), v];
}

/** A lobe without air: dense, sharp at its fissure, with the dark branches of the bronchi that still hold some. */
export function drawConsolidation(scene: Scene, { severity, zone }: Finding, side: SideSign, random: Random): Float32Array {
  const { map, noise } = scene;
  const edges = lobeEdges(scene, zone, side, severity, random);
  const slope = random.uniform(-0.2, 0.2);
  const inner = map.patient.mediastinum + 0.01;
  const reach = random.uniform(0.03, 0.13);
  const field = fieldInLung(scene, side, (across, v) => {
    const rough = 0.035 * noise(across * 9, v * 9 + side);
    const height = v - slope * (across - 0.4);
    const outer = cageHalfWidth(map.patient, v) - reach;
    const sideways = step((outer - across + rough) / 0.04) * step((across - inner) / 0.03);
    const below = (height - edges.top) / edges.topBlur + 20 * rough;
    const above = (edges.bottom - height) / edges.bottomBlur + 20 * rough;
    return sideways * step(below) * step(above);
  });
  const bronchi = new Float32Array(field.length);
  growTree(bronchi, map, random, side, { trunks: 8, generations: 3, radius: 0.017, taper: 0.85, length: 0.17, bend: 0.14 });
  addField(scene, field, (i) => [0.34, 0.4, 0.46][severity] - 0.24 * bronchi[i], 0.9);
  return field;
}

/** v of a lobe's top and bottom and half the width of each edge: fissures are sharp. */
function lobeEdges({ map: { patient } }: Scene, zone: Zone, side: SideSign, severity: number, random: Random) {
  const height = random.uniform(0.32, 0.4) + 0.03 * severity;
  const fissure = random.uniform(-0.2, -0.1);
  if (zone === "upper") return { top: fissure - height, topBlur: 0.05, bottom: fissure, bottomBlur: 0.015 };
  if (zone === "mid") return { top: fissure - 0.02, topBlur: 0.015, bottom: fissure + height, bottomBlur: 0.05 };
  const dome = side < 0 ? patient.dome.right : patient.dome.left;
  return { top: dome + 0.12 - height - 0.08, topBlur: 0.03, bottom: 2, bottomBlur: 0.05 };
}

/** A hazy ellipse without an edge, through which vessels still show. */
export function drawOpacity(scene: Scene, { severity, zone }: Finding, side: SideSign, random: Random): Float32Array {
  const radius = random.uniform(0.19, 0.25) + 0.03 * severity;
  const flat = random.uniform(0.8, 1.2);
  const [centre, height] = placeInZone(scene, zone, side, 0.16, random);
  const field = fieldInLung(scene, side, (across, v) => {
    const x = (across - centre) / (radius * flat);
    const y = (v - height) / (radius / flat);
    return step((0.72 - Math.sqrt(x * x + y * y)) / 0.55);
  });
  addField(scene, field, (i) => [0.23, 0.28, 0.34][severity] * (1 + 0.2 * scene.noise(scene.map.u[i] * 8, scene.map.v[i] * 8)), 0.25);
  return field;
}

/** A cluster of patchy, ragged spots. */
export function drawPneumonia(scene: Scene, { severity, zone }: Finding, side: SideSign, random: Random): Float32Array {
  const radius = random.uniform(0.17, 0.22) + 0.02 * severity;
  const [centre, height] = placeInZone(scene, zone, side, 0.16, random);
  const spots = Array.from({ length: 9 + 3 * severity }, () => {
    const [x, y] = pointInDisc(random);
    return { x: centre + radius * x, y: height + radius * y, size: random.uniform(0.045, 0.085), strength: random.uniform(0.6, 1) };
  });
  const field = fieldInLung(scene, side, (across, v) => {
    if (Math.abs(across - centre) > radius + 0.24 || Math.abs(v - height) > radius + 0.24) return 0;
    const ragged = 0.02 * scene.noise(across * 17, v * 17);
    let clear = 1;
    for (const { x, y, size, strength } of spots) {
      const dx = across - x + ragged;
      const dy = v - y - ragged;
      clear *= 1 - strength * bell(Math.sqrt(dx * dx + dy * dy) / size);
    }
    return 1 - clear;
  });
  addField(scene, field, () => [0.32, 0.38, 0.44][severity], 0.5);
  return field;
}

function pointInDisc(random: Random): [x: number, y: number] {
  for (;;) {
    const x = random.uniform(-1, 1);
    const y = random.uniform(-1, 1);
    if (x * x + y * y <= 1) return [x, y];
  }
}

/** Two or three thin curved plates, one above the other. */
export function drawAtelectasis(scene: Scene, { severity, zone }: Finding, side: SideSign, random: Random): Float32Array {
  const [centre, height] = placeInZone(scene, zone, side, 0.15, random);
  const length = random.uniform(0.19, 0.26);
  const count = severity > 0 ? 3 : 2;
  const gap = random.uniform(0.1, 0.14);
  const plates = Array.from({ length: count }, (_, plate) => ({
    x: centre + random.uniform(-0.04, 0.04),
    y: height + 0.03 + (plate - (count - 1) / 2) * gap,
    slope: random.uniform(-0.3, 0.3),
    length: length * random.uniform(0.8, 1.1),
    thickness: random.uniform(0.017, 0.027),
  }));
  const field = fieldInLung(scene, side, (across, v) => {
    let most = 0;
    for (const plate of plates) {
      const x = across - plate.x;
      const off = (v - plate.y - plate.slope * x - 0.5 * x * x) / plate.thickness;
      if (off > -3 && off < 3) most = Math.max(most, bell(off) * step((plate.length - Math.abs(x)) / 0.03));
    }
    return most;
  });
  addField(scene, field, () => [0.3, 0.35, 0.4][severity], 0.3);
  return field;
}

/** Wings of haze about both hila, swollen vessels, and short level lines at the lungs' lower edges. @returns right, left */
export function drawEdema(scene: Scene, { severity }: Finding, random: Random): Float32Array[] {
  const { map, vessels, noise } = scene;
  const width = [0.26, 0.3, 0.35][severity];
  const lines = random.uniform(0, 1);
  return ([-1, 1] as const).map((side) => {
    const centre = hilumU(side, map.patient.shift) * side + 0.08;
    const height = hilumV(side) + 0.05;
    const wing = fieldInLung(scene, side, (across, v) => {
      const x = (across - centre) / width;
      const y = (v - height) / (width * 1.3);
      return step((0.8 - Math.sqrt(x * x + y * y)) / 0.5);
    });
    const septa = fieldInLung(scene, side, (_, v, i) => {
      const line = clamp(wave(v / 0.05 + lines + 1.2 * map.u[i]) - 0.3, 0, 1);
      return line * step((0.12 - map.inCage[i]) / 0.03) * step((v - 0.05) / 0.08);
    });
    for (let i = 0; i < vessels.length; i++) if (map.u[i] * side > 0) vessels[i] *= 1.25 + 0.15 * severity;
    addField(scene, septa, () => [0.05, 0.07, 0.09][severity], 0);
    addField(scene, wing, (i) => [0.2, 0.26, 0.32][severity] * (1 + 0.45 * noise(map.u[i] * 11, map.v[i] * 11)), 0);
    return wing;
  });
}
