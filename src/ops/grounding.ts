import { ShapeError } from "../errors.ts";
import {
  mapProduct as mapProductKernel,
  mapProductNaive,
  mergeMaps as mergeMapsKernel,
  minMaxNormalise as minMaxNormaliseKernel,
  quantiseUint8 as quantiseUint8Kernel,
  ssimUint8 as ssimUint8Kernel,
  timestepMean,
  upsampleAdd,
} from "../generated/kernels.ts";
import { type Tensor, sizeOf } from "../tensor.ts";
import { type Float, bytesOf, check, checkShape } from "./check.ts";

// From captured attention to the merged map. All tensors are f32. Leading dimensions (phrases, images) are kept: P below.

/** Captured attention of one cross-attention layer: the mean over its heads and over a set of tokens. */
export interface LayerMaps {
  /** [P..., T, side * side] */
  maps: Tensor;
  /** Native side of the layer's maps. */
  side: number;
}

/** Options of `upsampledMean`. */
export interface UpsampledMeanOptions {
  /** Side to upsample to: a multiple of every layer's side. */
  side: number;
  /** [T], not negative and not all zero; equal weights where absent. */
  timestepWeights?: Tensor;
}

/** Mean over layers and timesteps of the maps, upsampled by nearest repetition. -> [P..., side * side] */
export function upsampledMean(layers: readonly LayerMaps[], options: UpsampledMeanOptions): Tensor {
  return meanOverLayers("upsampledMean", layers, options, () => 1);
}

/**
 * P_mult: mean over layers and timesteps of the matrix products up(img) up(txt) of maps upsampled to side x side.
 * The products are taken at native resolution: repeating rows and columns f times gives up(a) up(b) = f up(a b).
 * -> [P..., side * side]
 * @param options.side to upsample to: a multiple of every layer's side
 */
export function biasProduct(img: readonly LayerMaps[], txt: readonly LayerMaps[], options: { side: number }): Tensor {
  checkLayers("biasProduct", img, options.side);
  check(img.length === txt.length, "biasProduct", `${img.length} image layers do not pair with ${txt.length} text layers`, img[0].maps);
  return img[0].maps.gpu.scope("bias product", () => {
    const products = img.map(({ maps, side }, l) => ({ maps: mapProduct(maps, txt[l].maps, { side }), side }));
    return meanOverLayers("biasProduct", products, options, (native) => options.side / native);
  });
}

/** Linear in the maps: timesteps and layers of one side are summed at that side, and each side is upsampled once. */
function meanOverLayers(op: string, layers: readonly LayerMaps[], options: UpsampledMeanOptions, scaleOf: (side: number) => number): Tensor {
  const { batch, timesteps } = checkLayers(op, layers, options.side);
  const { side, timestepWeights: weights } = options;
  const { gpu } = layers[0].maps;
  if (weights) checkShape(op, "timestepWeights", weights, [timesteps]);
  return gpu.scope(op, () => {
    const mean = gpu.empty([...batch, side ** 2]);
    for (const [index, native] of [...new Set(layers.map((layer) => layer.side))].entries()) {
      const sum = gpu.empty([...batch, native ** 2]);
      for (const [l, { maps }] of layers.filter((layer) => layer.side === native).entries()) addTimestepMean(maps, sum, { weights, accumulate: l > 0 });
      addUpsampled(sum, mean, { side: native, factor: side / native, scale: scaleOf(native) / layers.length, accumulate: index > 0 });
    }
    return mean;
  });
}

function checkLayers(op: string, layers: readonly LayerMaps[], side: number): { batch: readonly number[]; timesteps: number } {
  const [first] = layers;
  if (!first) throw new ShapeError(op, "needs the maps of one layer at least");
  const [timesteps] = first.maps.shape.slice(-2);
  const batch = first.maps.shape.slice(0, -2);
  for (const { maps, side: native } of layers) {
    checkFloat32(op, maps);
    checkShape(op, "maps", maps, [...batch, timesteps, native ** 2]);
    check(side % native === 0, op, `side ${side} is not a multiple of the native side ${native}`, maps);
  }
  return { batch, timesteps };
}

function checkFloat32(op: string, ...tensors: Tensor[]): void {
  for (const x of tensors) check(x.dtype === "f32", op, `takes f32, got ${x.dtype}`, x);
}

/**
 * Weighted sum over timesteps at the layer's own side, in the order of `accumulateCapture`: bit for bit the running sum
 * that it would have made of the same maps. maps [P..., T, N], weights [T] -> [P..., N]
 */
export function timestepSum(maps: Tensor, weights: Tensor): Tensor {
  checkFloat32("timestepSum", maps);
  const [timesteps, pixels] = maps.shape.slice(-2);
  checkShape("timestepSum", "weights", weights, [timesteps]);
  const sum = maps.gpu.empty([...maps.shape.slice(0, -2), pixels]);
  addTimestepMean(maps, sum, { weights, accumulate: false, sum: true });
  return sum;
}

function addTimestepMean(x: Tensor, y: Tensor, options: { weights?: Tensor; accumulate: boolean; sum?: boolean }): void {
  const { weights, accumulate, sum = false } = options;
  const [timesteps, pixels] = x.shape.slice(-2);
  x.gpu.run(timestepMean, {
    bindings: { x, w: weights, y },
    params: { count: y.size, timesteps, pixels },
    overrides: { WEIGHTED: weights !== undefined, ACCUMULATE: accumulate, SUM: sum },
    prelude: {},
    grid: Math.ceil(y.size / 64),
    flops: 2 * x.size,
    bytes: bytesOf(x, weights, y),
  });
}

function addUpsampled(x: Tensor, y: Tensor, options: { side: number; factor: number; scale: number; accumulate: boolean }): void {
  const { accumulate, ...params } = options;
  x.gpu.run(upsampleAdd, {
    bindings: { x, y },
    params: { count: y.size, ...params },
    overrides: { ACCUMULATE: accumulate },
    prelude: {},
    grid: Math.ceil(y.size / 64),
    flops: 2 * y.size,
    bytes: bytesOf(x, y),
  });
}

/** Which kernel: blocks of 4 x 4 for sides that are multiples of 4, or the naive one for all. */
export type MapProductVariant = "blocks" | "naive";

/** Kernel, grid, invocations and cost of `maps` products of side x side matrices. */
export function planMapProduct(maps: number, side: number, variant: MapProductVariant = side % 4 === 0 ? "blocks" : "naive") {
  const naive = variant === "naive";
  const count = naive ? maps * side ** 2 : maps * (side / 4) ** 2;
  return { kernel: naive ? mapProductNaive : mapProductKernel, grid: Math.ceil(count / 64), count, flops: 2 * maps * side ** 3 };
}

/**
 * Matrix products of maps. a, b [..., side * side] -> [..., side * side]
 * @param options.side of each map, which is a side x side matrix
 * @param options.variant default: "blocks" for sides that are multiples of 4
 */
export function mapProduct(a: Tensor, b: Tensor, options: { side: number; variant?: MapProductVariant }): Tensor {
  const { side, variant } = options;
  checkFloat32("mapProduct", a, b);
  checkShape("mapProduct", "a", a, [...a.shape.slice(0, -1), side ** 2]);
  checkShape("mapProduct", "b", b, a.shape);
  check(variant !== "blocks" || side % 4 === 0, "mapProduct", `blocks need a side that is a multiple of 4, got ${side}`, a);
  const c = a.gpu.empty(a.shape);
  const { kernel, count, ...plan } = planMapProduct(a.size / side ** 2, side, variant);
  a.gpu.run(kernel, { ...plan, bindings: { a, b, c }, params: { count, side }, prelude: {}, bytes: bytesOf(a, b, c) });
  return c;
}

/** Options of the ops that the published code runs on float16 tensors. */
export interface RoundingOptions {
  /** "f16": every operation's result is rounded to half, as PyTorch does; storage stays f32. Default "f32": no rounding. */
  rounding?: Float;
}

/**
 * (x - min) / (max - min) over the last dimension. x [P..., N] -> [P..., N]
 * A constant map gives zeros: the published code divides 0 by 0 and then drops the sample, or quantises the NaN to 0.
 */
export function minMaxNormalise(x: Tensor, options: RoundingOptions = {}): Tensor {
  checkFloat32("minMaxNormalise", x);
  const pixels = x.shape[x.shape.length - 1];
  const maps = x.size / pixels;
  const y = x.gpu.empty(x.shape);
  x.gpu.run(minMaxNormaliseKernel, {
    bindings: { x, y },
    params: { maps, pixels },
    overrides: { HALF: options.rounding === "f16" },
    prelude: {},
    grid: maps,
    flops: 4 * x.size,
    bytes: bytesOf(x, y),
  });
  return y;
}

/** trunc(255 x) of values in [0, 1], as whole numbers in f32. x [...] -> [...] */
export function quantiseUint8(x: Tensor, options: RoundingOptions = {}): Tensor {
  checkFloat32("quantiseUint8", x);
  const y = x.gpu.empty(x.shape);
  x.gpu.run(quantiseUint8Kernel, {
    bindings: { x, y },
    params: { count: x.size },
    overrides: { HALF: options.rounding === "f16" },
    prelude: {},
    grid: Math.ceil(x.size / 64),
    flops: 2 * x.size,
    bytes: bytesOf(x, y),
  });
  return y;
}

/** What `ssimUint8` gives: both [P...]. */
export interface Ssim {
  /** In [-1, 1]. */
  ssim: Tensor;
  /** Clipped to [0, 1]: the s of the merges. */
  s: Tensor;
}

/**
 * Structural similarity of 8-bit maps: scikit-image's structural_similarity with its defaults for uint8.
 * a, b [P..., side * side] whole numbers 0 to 255. Needs a side of 7 at least.
 */
export function ssimUint8(a: Tensor, b: Tensor, side: number): Ssim {
  checkFloat32("ssimUint8", a, b);
  const batch = a.shape.slice(0, -1);
  checkShape("ssimUint8", "a", a, [...batch, side ** 2]);
  checkShape("ssimUint8", "b", b, a.shape);
  check(side >= 7, "ssimUint8", `side ${side} holds no window of 7 x 7`, a);
  const maps = sizeOf(batch);
  const ssim = a.gpu.empty(batch);
  const s = a.gpu.empty(batch);
  a.gpu.run(ssimUint8Kernel, {
    bindings: { a, b, ssim, s },
    params: { maps, side },
    prelude: {},
    grid: maps,
    flops: 49 * 10 * maps * (side - 6) ** 2,
    bytes: bytesOf(a, b, ssim, s),
  });
  return { ssim, s };
}

/** How P_comb and P_mult are merged: eq. 2 (the paper's BBM), eq. 3, eq. 4. */
export type MergeKind = "mixture" | "linear" | "quadratic";

const mergeKinds = { mixture: 0, linear: 1, quadratic: 2 } as const;

/**
 * Merges min-max normalised P_comb and P_mult by s: a Bezier curve from the one (s = 0) to the other (s = 1).
 * comb, mult [P..., N], s [P...] -> [P..., N]; the result may leave [0, 1].
 * @param options.kind which of the paper's formulas
 */
export function mergeMaps(comb: Tensor, mult: Tensor, s: Tensor, options: RoundingOptions & { kind: MergeKind }): Tensor {
  checkFloat32("mergeMaps", comb, mult, s);
  checkShape("mergeMaps", "mult", mult, comb.shape);
  checkShape("mergeMaps", "s", s, comb.shape.slice(0, -1));
  const map = comb.gpu.empty(comb.shape);
  comb.gpu.run(mergeMapsKernel, {
    bindings: { comb, mult, s, map },
    params: { count: comb.size, pixels: comb.shape[comb.shape.length - 1] },
    overrides: { HALF: options.rounding === "f16", KIND: mergeKinds[options.kind] },
    prelude: {},
    grid: Math.ceil(comb.size / 64),
    flops: 10 * comb.size,
    bytes: bytesOf(comb, mult, s, map),
  });
  return map;
}
