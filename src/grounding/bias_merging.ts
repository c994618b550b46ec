import { type LayerMaps, type MergeKind, biasProduct, mergeMaps, minMaxNormalise, quantiseUint8, ssimUint8, upsampledMean } from "../ops/grounding.ts";
import type { Tensor } from "../tensor.ts";

// Sections 2.2 and 2.3 of Generate to Ground. Nothing here reads back: a merge can be recorded and replayed.

/**
 * "paper": the formulas as the paper writes them, in f32.
 * "compat": as the published code evaluates them: float16 tensors, and P_mult through uint8 before it is normalised.
 */
export type Reading = "paper" | "compat";

/** Means over layers and timesteps, as captured, not normalised: each [P..., side * side]. */
export interface BiasMeans {
  /** P_comb: the chosen tokens of the ground-truth pass. */
  comb: Tensor;
  /** P_img, the image bias: the start token of the ground-truth pass. */
  img: Tensor;
  /** P_txt, the text bias: the chosen tokens of a pass from Gaussian noise. */
  txt: Tensor;
  /** P_mult: mean of the matrix products P_img P_txt. */
  mult: Tensor;
}

/** Arguments of `biasMeans`. */
export interface CapturedBiases {
  /** For P_comb: the chosen tokens of the main pass, layer by layer. */
  comb: readonly LayerMaps[];
  /** For P_img: the start token of the main pass, in the same layers. */
  img: readonly LayerMaps[];
  /** For P_txt: the chosen tokens of the pass from Gaussian noise, in the same layers. */
  txt: readonly LayerMaps[];
  /** Side of the latent, to which the maps are upsampled. */
  side: number;
  /** Which timesteps make P_comb, and how much: [T] (the biases take all timesteps alike). All alike where absent. */
  combWeights?: Tensor;
}

/** A merged map and what it was merged from. */
export interface MergedBiases {
  /** [P..., side * side]; may leave [0, 1] by a little. */
  map: Tensor;
  /** P_comb, min-max normalised: [P..., side * side]. */
  comb: Tensor;
  /** P_mult, min-max normalised: [P..., side * side]. */
  mult: Tensor;
  /** Structural similarity of image bias and text bias, quantised to uint8 each: [P...], from -1 to 1. */
  ssim: Tensor;
  /** The s of eq. 2 to 4: `ssim` clipped to [0, 1]. [P...] */
  s: Tensor;
}

/** How to merge. */
export interface MergeOptions {
  /** Side of the latent. */
  side: number;
  /** Which of the paper's formulas: eq. 2 (mixture, its BBM), 3 (linear) or 4 (quadratic). */
  kind: MergeKind;
  /** In which precision, and whether P_mult goes through uint8. */
  reading: Reading;
}

/**
 * Section 2.2: the map without bias merging, the mean over layers and timesteps, min-max normalised.
 * -> [P..., side * side]
 * @param options.side side of the latent, to which the maps are upsampled
 * @param options.reading "compat" normalises in float16
 * @param options.timestepWeights [T], not all zero; all timesteps alike where absent
 */
export function activationMap(comb: readonly LayerMaps[], options: { side: number; reading: Reading; timestepWeights?: Tensor }): Tensor {
  const { gpu } = comb[0].maps;
  return gpu.scope("activation", () => minMaxNormalise(upsampledMean(comb, options), { rounding: roundingOf(options.reading) }));
}

/** Section 2.3: image bias, text bias and their interaction. The pass for the text bias does not depend on the image. */
export function mergeBiases(captured: CapturedBiases, options: Omit<MergeOptions, "side">): MergedBiases {
  const { gpu } = captured.comb[0].maps;
  return gpu.scope("bias merging", () => mergeMeans(biasMeans(captured), { ...options, side: captured.side }));
}

/** The four means that every kind of merge starts from. */
export function biasMeans({ comb, img, txt, side, combWeights }: CapturedBiases): BiasMeans {
  return { comb: upsampledMean(comb, { side, timestepWeights: combWeights }), ...interactionMeans(img, txt, side) };
}

/** The means of the two biases and of their product: all but P_comb. */
export function interactionMeans(img: readonly LayerMaps[], txt: readonly LayerMaps[], side: number): Omit<BiasMeans, "comb"> {
  return { img: upsampledMean(img, { side }), txt: upsampledMean(txt, { side }), mult: biasProduct(img, txt, { side }) };
}

/** Merges the means: similar biases (s near 1) draw the map towards their product, others leave it at P_comb. */
export function mergeMeans({ comb: captured, ...biases }: BiasMeans, { side, kind, reading }: MergeOptions): MergedBiases {
  const rounding = roundingOf(reading);
  return captured.gpu.scope("merge", () => {
    const interaction = biasInteraction(biases, { side, reading });
    const comb = minMaxNormalise(captured, { rounding });
    return { map: mergeMaps(comb, interaction.mult, interaction.s, { kind, rounding }), comb, ...interaction };
  });
}

/** What the two biases bring into every merge: P_mult, min-max normalised, and how similar they are. */
export function biasInteraction({ img, txt, mult }: Omit<BiasMeans, "comb">, { side, reading }: Omit<MergeOptions, "kind">): Omit<MergedBiases, "map" | "comb"> {
  const rounding = roundingOf(reading);
  const quantised = (x: Tensor) => quantiseUint8(minMaxNormalise(x, { rounding }), { rounding });
  return img.gpu.scope("interaction", () => {
    const similarity = ssimUint8(quantised(img), quantised(txt), side);
    return { mult: minMaxNormalise(reading === "compat" ? quantised(mult) : mult, { rounding }), ...similarity };
  });
}

/** The type in which a reading computes. */
export function roundingOf(reading: Reading): "f16" | "f32" {
  return reading === "compat" ? "f16" : "f32";
}
