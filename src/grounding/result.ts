import type { Picture } from "../data/draw.ts";
import type { Film } from "../data/film.ts";
import { planPreprocess } from "../data/preprocess.ts";
import { type OverlayOptions, overlay } from "../data/render.ts";
import type { FinalMap } from "./final_maps.ts";
import { type Mixture, activationMask } from "./mask.ts";
import { type Point, argmax } from "./maps.ts";
import type { GroundSettings } from "./options.ts";
import type { PreparedPhrase } from "./phrases.ts";
import { type Region, maskRegions } from "./regions.ts";
import type { Cost } from "./savings.ts";

/** Where a phrase points in a film. */
export interface GroundResult {
  /** The film that was asked about, not resized. */
  film: Film;
  /** The phrase with its tokens and the choice among them. */
  phrase: PreparedPhrase;
  /** All settings, the defaults filled in. */
  settings: GroundSettings;
  /** Side of `map`: that of the latent. */
  side: number;
  /** [side * side] in [0, 1]. */
  map: Float32Array;
  /** [side * side], 1 is foreground. */
  mask: Uint8Array;
  /** The two Gaussians fitted to the map. */
  mixture: Mixture;
  /** The mean of their means: a pixel of the map above it is foreground, before single pixels are filtered out. */
  threshold: number;
  /** The mask's regions at the model's image size, the largest first. */
  regions: Region[];
  /** Where the map is greatest, in its own pixels. */
  argmax: Point;
  /** Side of the model's image in pixels. */
  imageSize: number;
  /** SSIM of image bias and text bias; undefined without a merge. */
  ssim?: number;
  /** The s of the merge, `ssim` clipped to [0, 1]: near 1 the map follows P_mult. Undefined without a merge. */
  s?: number;
  /** One map a word in the order of the phrase, where `perWord` asked for it; else empty. */
  words: {
    /** As the phrase has it. */
    text: string;
    /** Whether its tokens take part in the phrase's map. */
    kept: boolean;
    /** [side * side] in [0, 1]: P_comb of its pieces, without a merge; all 0 for a word without pieces. */
    map: Float32Array;
  }[];
  /** Items of one U-Net evaluation. */
  batch: number;
  /** Milliseconds by stage, shared by all results of one call. */
  timings: Record<string, number>;
  /** Work of the whole call, and what the published procedure would have taken. */
  cost: Cost & {
    /** Of both passes with both branches at every timestep and all layers, each P copied to the host. */
    published: Cost;
  };
  /** The map in jet colours over the film, RGBA of the film's size. */
  overlay(options?: OverlayOptions): Picture;
}

/** Completes a map to a result: mask, regions, peak. */
export function makeResult(inputs: Omit<GroundResult, "map" | "mask" | "mixture" | "threshold" | "regions" | "argmax" | "ssim" | "s" | "words" | "overlay"> & { maps: FinalMap }): GroundResult {
  const { maps, ...rest } = inputs;
  const { map, ssim, s } = maps;
  const { film, side, imageSize, phrase } = rest;
  const { mask, mixture, threshold } = activationMask(map, side);
  return {
    ...rest,
    map,
    mask,
    mixture,
    threshold,
    regions: maskRegions({ map, mask, side, imageSize }),
    argmax: argmax(map, side),
    ssim,
    s,
    // Phrases of one call share the number of token sets: the surplus of the shorter ones is empty.
    words: phrase.choice.words.slice(0, maps.words.length).map(({ text, kept }, i) => ({ text, kept, map: maps.words[i] })),
    overlay: (options) => overlay(film, map, side, planPreprocess(film.width, film.height, imageSize), options),
  };
}
