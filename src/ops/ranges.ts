import type { BindingSource } from "../gpu/kernel.ts";
import { type Tensor, dtypeBytes } from "../tensor.ts";
import { check } from "./check.ts";

/** `count` elements of x from `first` on, as a binding. Throws ShapeError where they do not begin at a multiple of 256 bytes. */
export function elementRange(x: Tensor, first: number, count: number): BindingSource {
  const bytes = dtypeBytes(x.dtype);
  const byteOffset = x.byteOffset + first * bytes;
  check(byteOffset % 256 === 0, "binding", `elements of [${x.shape}] from ${first} on begin at byte ${byteOffset}, no multiple of 256; use a smaller batch`, x);
  return { dtype: x.dtype, buffer: x.buffer, byteOffset, byteLength: Math.max(4, Math.ceil((count * bytes) / 4) * 4) };
}

/** The fewest rows, times any number, that end at a multiple of 256 bytes whichever of these lengths a row has. */
export function alignedRows(...rowBytes: number[]): number {
  let rows = 1;
  while (rowBytes.some((bytes) => (rows * bytes) % 256 !== 0)) rows *= 2;
  return rows;
}

/** Some of the rows of some items of a batch: what one dispatch takes. */
export interface Part {
  /** The first item, and how many. */
  item: number;
  items: number;
  /** The first row of each, and how many. */
  row: number;
  rows: number;
}

/**
 * Divides `items` of `rows` rows into parts that a binding can hold: all in one where that is possible, else equal parts
 * of one item each that begin at multiples of `step` rows.
 */
export function partsOf({ items, rows }: { items: number; rows: number }, rowBytes: number, maxBytes: number, step: number): Part[] {
  if (items * rows * rowBytes <= maxBytes) return [{ item: 0, items, row: 0, rows }];
  const most = Math.max(step, Math.floor(maxBytes / rowBytes / step) * step);
  const perPart = Math.ceil(rows / Math.ceil(rows / most) / step) * step;
  return Array.from({ length: items }, (_, item) =>
    Array.from({ length: Math.ceil(rows / perPart) }, (_, i) => ({ item, items: 1, row: i * perPart, rows: Math.min(perPart, rows - i * perPart) })),
  ).flat();
}
