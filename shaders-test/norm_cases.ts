/** Rows and channels of layer norms: tails, size 1, primes, real widths, more rows than one grid dimension holds. */
export const layerNormCases: readonly (readonly [rows: number, channels: number])[] = [
  [1, 1],
  [3, 7],
  [77, 64],
  [5, 320],
  [2, 1283],
  [65_537, 2],
];

/** Shapes that are timed: those of SD 1.5's widest latent and of BERT-base. */
export const layerNormBench: readonly (readonly [rows: number, channels: number])[] = [
  [4096, 320],
  [77, 768],
];
