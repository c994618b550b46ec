import { drawEffusion, drawPneumothorax } from "./air_and_fluid.ts";
import { mapBody } from "./body_map.ts";
import { expose } from "./exposure.ts";
import type { Scene } from "./field.ts";
import type { Finding } from "./findings.ts";
import { addVessels, growVessels } from "./lungs.ts";
import { drawAtelectasis, drawConsolidation, drawEdema, drawOpacity, drawPneumonia } from "./opacities.ts";
import { addOverlays } from "./overlays.ts";
import { drawPatient } from "./patient.ts";
import type { Random } from "../../random.ts";
import { createNoise, step } from "./shapes.ts";
import { addSkeleton } from "./skeleton.ts";
import { addSoftTissue } from "./soft_tissue.ts";

/**
 * Draws a patient with these findings: the body's attenuation layer by layer, then the exposure.
 * @param stream a random stream for each number
 * @returns size * size grey values, and for each finding its own fields of size * size values from 0 to 1 (an edema has
 *   one a side, the others have one)
 */
export function drawScene(findings: readonly Finding[], size: number, stream: (purpose: number) => Random): { pixels: Uint8Array; fields: Float32Array[][] } {
  const map = mapBody(size, drawPatient(stream(0), findings));
  const attenuation = new Float32Array(size * size);
  const scene = { map, attenuation, vessels: new Float32Array(size * size), noise: createNoise(stream(1)) };
  addSoftTissue(attenuation, map, scene.noise);
  growVessels(scene, stream(2));
  const fields = findings.map((finding, i) => drawFinding(scene, finding, stream(5 + i)));
  addVessels(scene);
  addSkeleton(attenuation, map);
  addOverlays(attenuation, size, stream(3));
  return { pixels: expose(attenuation, size, stream(4)), fields };
}

function drawFinding(scene: Scene, finding: Finding, random: Random): Float32Array[] {
  const side = finding.side === "left" ? 1 : -1;
  switch (finding.label) {
    case "Atelectasis":
      return [drawAtelectasis(scene, finding, side, random)];
    case "Cardiomegaly":
      return [scene.map.inHeart.map((inside) => step(inside / 0.02))]; // the patient has the large heart already
    case "Consolidation":
      return [drawConsolidation(scene, finding, side, random)];
    case "Edema":
      return drawEdema(scene, finding, random);
    case "Lung Opacity":
      return [drawOpacity(scene, finding, side, random)];
    case "Pleural Effusion":
      return [drawEffusion(scene, finding, side, random)];
    case "Pneumonia":
      return [drawPneumonia(scene, finding, side, random)];
    case "Pneumothorax":
      return [drawPneumothorax(scene, finding, side, random)];
  }
}
