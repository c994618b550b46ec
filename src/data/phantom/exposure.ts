import type { Random } from "../../random.ts";
import { step } from "./shapes.ts";

/** Turns attenuation into grey values as an X-ray film and its reader's window do: 0 is black, 255 white. */
export function expose(attenuation: Float32Array, size: number, random: Random): Uint8Array {
  const { uniform } = random;
  const centre = uniform(0.48, 0.62);
  const slope = uniform(1.0, 1.45);
  const black = curve(-centre * slope);
  const white = curve((1.75 - centre) * slope);
  const heel = [uniform(-0.05, 0.05), uniform(-0.05, 0.05)];
  const grain = uniform(0.006, 0.017);
  const frame = collimation(random);
  const pixels = new Uint8Array(size * size);
  for (let row = 0, i = 0; row < size; row++) {
    const y = ((row + 0.5) / size) * 2 - 1;
    for (let column = 0; column < size; column++, i++) {
      const x = ((column + 0.5) / size) * 2 - 1;
      const dose = attenuation[i] * (1 + heel[0] * x + heel[1] * y);
      const grey = ((curve((dose - centre) * slope) - black) / (white - black)) * frame(x, y);
      pixels[i] = Math.floor(255 * Math.min(Math.max(grey + 0.015 + grain * (0.5 + grey) * random.normal(), 0), 1) + 0.5);
    }
  }
  return pixels;
}

/** From 0 to 1 with soft ends, steepest at 0. */
function curve(x: number): number {
  return 0.5 + (0.5 * x) / Math.sqrt(1 + x * x);
}

/** Some films are narrower than the detector: black beyond the collimator's blades. */
function collimation(random: Random): (x: number, y: number) => number {
  const edge = () => (random.chance(0.2) ? random.uniform(0.93, 0.99) : 1.1);
  const [left, right, top, bottom] = [edge(), edge(), edge(), edge()];
  return (x, y) => step((x + left) / 0.02) * step((right - x) / 0.02) * step((y + top) / 0.02) * step((bottom - y) / 0.02);
}
