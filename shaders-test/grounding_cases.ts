/** Captured layers: leading dimensions, timesteps, side to upsample to, native sides in module order. */
export interface LayerCase {
  batch: readonly number[];
  timesteps: number;
  side: number;
  sides: readonly number[];
}

/** One layer, one timestep, one pixel, sides that are no multiples of 4, repeated sides, sides out of order. */
export const layerCases: readonly LayerCase[] = [
  { batch: [], timesteps: 1, side: 1, sides: [1] },
  { batch: [], timesteps: 1, side: 8, sides: [8] },
  { batch: [3], timesteps: 5, side: 12, sides: [12, 3, 6, 1, 6, 4, 12] },
  { batch: [2, 2], timesteps: 2, side: 15, sides: [5, 3, 15] },
  { batch: [], timesteps: 2, side: 64, sides: [64, 32, 16, 8] },
];

/** The 16 cross-attention layers of SD 1.5 on a 64 x 64 latent, 50 timesteps: what is timed. */
export const groundingBench: LayerCase = {
  batch: [],
  timesteps: 50,
  side: 64,
  sides: [64, 64, 32, 32, 16, 16, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64],
};
