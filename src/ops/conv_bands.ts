import type { Conv2dShape } from "./conv.ts";
import { alignedRows, partsOf } from "./ranges.ts";

/** Part of a convolution that one dispatch computes: rows of the output, and the rows of the input that they read. */
export interface Conv2dBand {
  /** As if its rows were all that there are. */
  shape: Conv2dShape;
  /** The first sample. */
  sample: number;
  /** First pixel and number of pixels, in the input and in the output. */
  input: { first: number; count: number };
  output: { first: number; count: number };
}

/**
 * The fewest bands of a convolution whose inputs and outputs a binding can hold: one, with the whole batch, where that is
 * possible. `factor` is 2 where the input is upsampled, else 1.
 */
export function conv2dBands(shape: Conv2dShape, factor: number, elementBytes: number, maxBytes: number): Conv2dBand[] {
  const { batches, height, width, out_height, out_width, c_out, kernel, padding, stride } = shape;
  const inputRow = width * Math.max(shape.c1, shape.c2) * elementBytes;
  const outputRow = out_width * c_out * elementBytes;
  if (batches * Math.max(height * inputRow, out_height * outputRow) <= maxBytes) {
    return [{ shape, sample: 0, input: { first: 0, count: batches * height * width }, output: { first: 0, count: batches * out_height * out_width } }];
  }
  const halo = kernel[0] * inputRow;
  const parts = partsOf({ items: batches, rows: out_height }, Math.max(outputRow, (inputRow * stride) / factor), maxBytes - halo, alignedRows(outputRow));
  return parts.map(({ item, items, row, rows }) => {
    // Rows of the upsampled input, then of the input itself.
    const top = row * stride - padding[0];
    const bottom = (row + rows - 1) * stride - padding[0] + kernel[0];
    const first = Math.max(0, Math.floor(top / factor));
    const end = Math.min(height, Math.ceil(bottom / factor));
    return {
      shape: { ...shape, batches: items, height: end - first, out_height: rows, padding: [first * factor - top, padding[1]] },
      sample: item,
      input: { first: (item * height + first) * width, count: items * (end - first) * width },
      output: { first: (item * out_height + row) * out_width, count: items * rows * out_width },
    };
  });
}
