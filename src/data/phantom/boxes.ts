import type { Box } from "../preprocess.ts";

/** A field counts where it exceeds this share of its peak, and this value. */
export const fieldThresholds = { ofPeak: 0.35, absolute: 0.12 } as const;

/** Sides of the smallest box, as a share of the film's: what is smaller can hardly be seen. */
const SMALLEST = 4 / 128;

/** The box about what counts of a field of size * size values, in whole pixels; undefined where next to nothing does. */
export function fieldBox(field: Float32Array, size: number): Box | undefined {
  let peak = 0;
  for (let i = 0; i < field.length; i++) if (field[i] > peak) peak = field[i];
  const threshold = Math.max(fieldThresholds.ofPeak * peak, fieldThresholds.absolute);
  let [left, top, right, bottom] = [size, size, -1, -1];
  for (let row = 0, i = 0; row < size; row++) {
    for (let column = 0; column < size; column++, i++) {
      if (!(field[i] > threshold)) continue;
      left = Math.min(left, column);
      right = Math.max(right, column);
      top = Math.min(top, row);
      bottom = row;
    }
  }
  const [width, height] = [right - left + 1, bottom - top + 1];
  return Math.min(width, height) >= SMALLEST * size ? [left, top, width, height] : undefined;
}
