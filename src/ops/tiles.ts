import type { Gpu } from "../gpu/gpu.ts";

/**
 * The designs of a matrix product: `subgroup` (lanes share rows by shuffles), `vector` (registers only), `tiled`
 * (workgroup memory) and `naive` (the second opinion).
 */
export type ProductVariant = "subgroup" | "vector" | "tiled" | "naive";

/**
 * The design for a device. Workgroup memory pays on a GPU; on a CPU device barriers are dear and shuffles cheap.
 */
export function productVariant(gpu: Gpu): ProductVariant {
  if (!gpu.adapter.software) return "naive";
  return gpu.has("subgroups") ? "subgroup" : "naive";
}

/** Tile of the subgroup kernels: rows an invocation, invocations (of four columns each) side by side. */
export interface LaneTile {
  ROWS: number;
  COLUMNS: number;
}

const laneWorkgroup = 8;

/** Workgroups that tiles of this shape need for M rows and N columns. */
export function laneWorkgroups({ ROWS, COLUMNS }: LaneTile, M: number, N: number): number {
  return Math.ceil(M / (ROWS * (laneWorkgroup / COLUMNS))) * Math.ceil(N / (4 * COLUMNS));
}

/** The tile shape that computes M rows by N columns at the least cost. */
export function laneTile(M: number, N: number): LaneTile {
  const shapes = [16, 8, 4].flatMap((ROWS) => [8, 4, 2, 1].map((COLUMNS) => ({ ROWS, COLUMNS })));
  // Cycles of a workgroup for one k on lavapipe: four columns of b, its share of a, the products.
  const cost = (tile: LaneTile) => laneWorkgroups(tile, M, N) * (40 + (12 * tile.ROWS) / tile.COLUMNS + 4 * tile.ROWS);
  return shapes.reduce((best, shape) => (cost(shape) < cost(best) ? shape : best));
}
