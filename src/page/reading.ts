import { type Box, type PreprocessPlan, planPreprocess, transformBoxes } from "../data/preprocess.ts";
import { type ActivationMask, activationMask, maskAbove } from "../grounding/mask.ts";
import { type Point, argmax } from "../grounding/maps.ts";
import { type GroundingMetrics, groundingMetrics } from "../grounding/metrics.ts";
import { type Region, maskRegions } from "../grounding/regions.ts";
import { boxOnFilm, pointOnFilm } from "../report/film_coordinates.ts";

/** What is read off a map: its peak, its mask, and how they match a box. */
export interface Reading extends ActivationMask {
  /** Where the map is greatest, in pixels of the film. */
  peak: Point;
  /** The mask's regions, the largest first, with their boxes in pixels of the film. */
  regions: Region[];
  /** Against the box, where there is one that the model sees. */
  metrics?: GroundingMetrics;
}

/** What a map is read with. */
interface ReadingInputs {
  map: Float32Array;
  side: number;
  film: { width: number; height: number };
  imageSize: number;
  /** undefined: the middle of the two Gaussians. */
  threshold?: number;
  box?: Box;
}

export function readMap({ map, side, film, imageSize, threshold, box }: ReadingInputs): Reading {
  const plan = planPreprocess(film.width, film.height, imageSize);
  const own = activationMask(map, side);
  const found = threshold === undefined ? own : { ...own, threshold, mask: maskAbove(map, side, threshold) };
  const cell = argmax(map, side);
  const scale = imageSize / side;
  return {
    ...found,
    peak: pointOnFilm({ x: (cell.x + 0.5) * scale, y: (cell.y + 0.5) * scale }, plan),
    regions: maskRegions({ map, mask: found.mask, side, imageSize }).map((region) => ({ ...region, box: boxOnFilm(region.box, plan) })),
    metrics: box && metricsOf(box, plan, { map, mask: found.mask, side, imageSize }),
  };
}

function metricsOf(box: Box, plan: PreprocessPlan, inputs: Omit<Parameters<typeof groundingMetrics>[0], "boxes">): GroundingMetrics | undefined {
  const [x, y, w, h] = transformBoxes([box], plan)[0].map(Math.round);
  return w > 0 && h > 0 ? groundingMetrics({ ...inputs, boxes: [[x, y, w, h]] }) : undefined;
}
