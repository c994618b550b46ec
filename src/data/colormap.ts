const ENTRIES = 256;

/** Matplotlib's jet: the corners of each colour, as value and intensity, joined by straight lines. */
const CORNERS: readonly (readonly [value: number, intensity: number])[][] = [
  [[0, 0], [0.35, 0], [0.66, 1], [0.89, 1], [1, 0.5]],
  [[0, 0], [0.125, 0], [0.375, 1], [0.64, 1], [0.91, 0], [1, 0]],
  [[0, 0.5], [0.11, 1], [0.34, 1], [0.65, 0], [1, 0]],
];

/** RGB bytes of the 256 jet colours, cut to whole numbers as Matplotlib does; read at `jetIndex(value)`. */
export const jetTable: Readonly<Uint8Array> = Uint8Array.from({ length: ENTRIES * 3 }, (_, i) => {
  return Math.trunc(255 * interpolate(CORNERS[i % 3], Math.floor(i / 3)));
});

/** Where in `jetTable` the colour of a value in [0, 1] starts; values beyond take the end colours. */
export function jetIndex(value: number): number {
  return 3 * Math.min(Math.max(Math.trunc(value * ENTRIES), 0), ENTRIES - 1);
}

/** Intensity at a table entry. Corners are scaled to entries first, as Matplotlib does, so that every byte agrees. */
function interpolate(corners: (typeof CORNERS)[number], entry: number): number {
  const last = ENTRIES - 1;
  const right = Math.max(corners.findIndex(([value]) => value * last >= entry), 1);
  const [x0, y0] = corners[right - 1];
  const [x1, y1] = corners[right];
  return ((entry - x0 * last) / (x1 * last - x0 * last)) * (y1 - y0) + y0;
}
