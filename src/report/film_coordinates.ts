import type { Box, PreprocessPlan } from "../data/preprocess.ts";
import type { Point } from "../grounding/maps.ts";

/** A point of the model's image in pixels of the film; outside of the film where it lies in the padding of a small one. */
export function pointOnFilm({ x, y }: Point, plan: PreprocessPlan): Point {
  return {
    x: ((x + plan.cropLeft) * plan.width) / plan.resizedWidth,
    y: ((y + plan.cropTop) * plan.height) / plan.resizedHeight,
  };
}

/** A box of the model's image in pixels of the film, clipped to it; one in the padding keeps its place with no area. */
export function boxOnFilm([x, y, width, height]: Box, plan: PreprocessPlan): Box {
  const clip = (point: Point): Point => ({
    x: Math.min(Math.max(point.x, 0), plan.width),
    y: Math.min(Math.max(point.y, 0), plan.height),
  });
  const start = clip(pointOnFilm({ x, y }, plan));
  const end = clip(pointOnFilm({ x: x + width, y: y + height }, plan));
  return [start.x, start.y, end.x - start.x, end.y - start.y];
}

/** A point of the film for people: whole pixels, or that it lies in the padding around a small film. */
export function describePoint({ x, y }: Point, { width, height }: { width: number; height: number }): string {
  const isOnFilm = x >= 0 && y >= 0 && x < width && y < height;
  return isOnFilm ? `${Math.floor(x)}, ${Math.floor(y)}` : "in the padding";
}
