import type { Box } from "../data/preprocess.ts";
import type { GoldenMetrics, GoldenMixture } from "./map_parts.ts";

/** What ground.json says of the whole run. */
export interface GroundFacts {
  /** Timesteps, and how many of the last make P_comb. */
  T: number;
  rev_diff_steps: number;
  guidance_scale: number;
  timesteps: number[];
  /** Films, in the order of the VAE's moments. */
  images: string[];
  /** Boxes by film. */
  boxes: Record<string, Box[]>;
  cases: GroundCase[];
}

/** Maps whose mask and metrics are given. */
export const measuredMaps = ["P_comb", "mixture", "compat"] as const;

/** A film and a phrase. */
export type GroundCase = {
  image: string;
  phrase: string;
  tokens: string[];
  kept_words: number[];
  token_indices: number[];
  first_piece_indices: number[];
  ssim: number;
  ssim_compat: number;
  layers: string[];
} & Record<`gmm.${(typeof measuredMaps)[number]}`, GoldenMixture> &
  Record<`metrics.${(typeof measuredMaps)[number]}`, GoldenMetrics>;
