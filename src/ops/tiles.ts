import type { VariantChoice } from "../gpu/variant_choices.ts";
import type { DeviceFacts } from "./grid.ts";

/**
 * The designs of a matrix product: `subgroup` (lanes share rows by shuffles), `vector` (registers alone), `tiled`
 * (workgroup memory) and `naive` (the second opinion).
 */
export type ProductVariant = "subgroup" | "vector" | "tiled" | "naive";

/**
 * The designs for a device and N columns, the default first: workgroup memory pays on a GPU; on a CPU device barriers are
 * dear and shuffles cheap, but few columns leave few lanes to share rows between. The naive one is never among them.
 */
export function productVariants({ software, subgroupLanes }: DeviceFacts, N: number): Exclude<ProductVariant, "naive">[] {
  if (subgroupLanes < 4) return software ? ["vector", "tiled"] : ["tiled", "vector"];
  if (!software) return ["tiled", "subgroup", "vector"];
  return N >= 16 ? ["subgroup", "vector", "tiled"] : ["vector", "subgroup", "tiled"];
}

/** Overrides that shape a tile, and the rows and columns of c that one workgroup computes. */
export interface Tile {
  overrides: { ROWS?: number; COLUMNS?: number; LANES_X?: number; LANES_Y?: number };
  rows: number;
  columns: number;
}

/** How a product runs. */
export interface ProductPlan<K> {
  kernel: K;
  overrides: Tile["overrides"] & { QUADS?: boolean };
  /** Whether the kernel reads its columns by fours. */
  quads: boolean;
  grid: number;
  choice: VariantChoice;
}

/** Workgroups that cover M rows by N columns. */
export function workgroupsOf(tile: Tile, M: number, N: number): number {
  return Math.ceil(M / tile.rows) * Math.ceil(N / tile.columns);
}

/** Invocations of a workgroup of the subgroup and vector kernels. */
const laneWorkgroup = 8;

const laneTiles = [16, 8, 4].flatMap((ROWS) =>
  [8, 4, 2, 1].map((COLUMNS) => ({ overrides: { ROWS, COLUMNS }, rows: (ROWS * laneWorkgroup) / COLUMNS, columns: 4 * COLUMNS })),
);

/** Time of a workgroup for one k in arbitrary units, fitted to a sweep of all tiles on lavapipe. */
function laneCost({ overrides: { ROWS, COLUMNS } }: (typeof laneTiles)[number], shared: boolean): number {
  return shared ? 16 + 7 * COLUMNS + (52 * ROWS) / COLUMNS : 2 + ROWS;
}

const wideTile: Tile = { overrides: { ROWS: 8, LANES_X: 16, LANES_Y: 8 }, rows: 64, columns: 64 };
const smallTile: Tile = { overrides: { ROWS: 4, LANES_X: 8, LANES_Y: 8 }, rows: 32, columns: 32 };

/** Workgroups below which a GPU is better filled by small tiles. */
const fewWorkgroups = 32;

/**
 * The tile shape that computes M rows by N columns at the least cost. M is that of one item of a batch. Columns of a
 * subgroup kernel, 4 or 8, are at most the lanes of the device's smallest subgroup.
 */
export function productTile(variant: "subgroup" | "vector" | "tiled", M: number, N: number, { subgroupLanes }: DeviceFacts): Tile {
  if (variant === "tiled") return workgroupsOf(wideTile, M, N) < fewWorkgroups ? smallTile : wideTile;
  const shared = variant === "subgroup";
  const tiles = shared ? laneTiles.filter(({ overrides: { COLUMNS } }) => COLUMNS >= 4 && COLUMNS <= subgroupLanes) : laneTiles;
  const cost = (tile: (typeof laneTiles)[number]) => workgroupsOf(tile, M, N) * laneCost(tile, shared);
  return tiles.reduce((best, tile) => (cost(tile) < cost(best) ? tile : best));
}
