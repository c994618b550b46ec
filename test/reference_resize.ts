/**
 * The formula of torchvision's antialiased bilinear resize of tensors, in double and without any shortcut: every output
 * pixel is the mean of the whole input row and column weighted by a triangle about its own centre.
 * With half-pixel centres and scale s = in / out, pixel i of the output looks at c = (i + 1/2) s; input pixel j weighs
 * max(0, 1 - |j + 1/2 - c| / max(s, 1)); weights are brought to sum 1 over the pixels that exist.
 * `window` is the part of the output that is computed, the crop of a preprocessed film; 0 where it reaches beyond.
 * The GPU kernel and src/data/resize.ts are checked against it.
 */
export function resizeBilinearReference(
  image: ArrayLike<number>,
  from: { width: number; height: number },
  to: { width: number; height: number },
  window: { left: number; top: number; width: number; height: number } = { left: 0, top: 0, ...to },
): Float64Array {
  const out = new Float64Array(window.width * window.height);
  for (let y = 0; y < window.height; y++) {
    const rows = triangle(y + window.top, from.height, to.height);
    for (let x = 0; x < window.width; x++) {
      const columns = triangle(x + window.left, from.width, to.width);
      let [sum, weight] = [0, 0];
      for (const [j, wy] of rows) {
        for (const [i, wx] of columns) {
          sum += wy * wx * image[j * from.width + i];
          weight += wy * wx;
        }
      }
      out[y * window.width + x] = weight > 0 ? sum / weight : 0;
    }
  }
  return out;
}

/** Input pixels with a weight above zero, and that weight. */
function triangle(output: number, inputs: number, outputs: number): [pixel: number, weight: number][] {
  if (output < 0 || output >= outputs) return [];
  const scale = inputs / outputs;
  const centre = (output + 0.5) * scale;
  const radius = Math.max(scale, 1);
  const pixels: [number, number][] = [];
  for (let j = Math.max(Math.floor(centre - radius) - 1, 0); j < Math.min(centre + radius + 1, inputs); j++) {
    const weight = 1 - Math.abs(j + 0.5 - centre) / radius;
    if (weight > 0) pixels.push([j, weight]);
  }
  return pixels;
}

/** torch.nn.functional.interpolate(mode="bilinear", align_corners=False, antialias=False) of one plane, in f64. */
export function interpolateReference(plane: ArrayLike<number>, from: { width: number; height: number }, to: { width: number; height: number }): Float64Array {
  const taps = (i: number, inputs: number, outputs: number) => {
    const source = Math.max(0, ((i + 0.5) * inputs) / outputs - 0.5);
    const first = Math.floor(source);
    return { first, second: Math.min(first + 1, inputs - 1), weight: source - first };
  };
  return Float64Array.from({ length: to.width * to.height }, (_, i) => {
    const row = taps(Math.floor(i / to.width), from.height, to.height);
    const column = taps(i % to.width, from.width, to.width);
    const along = (y: number) => (1 - column.weight) * plane[y * from.width + column.first] + column.weight * plane[y * from.width + column.second];
    return (1 - row.weight) * along(row.first) + row.weight * along(row.second);
  });
}
