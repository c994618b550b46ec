/** Rows and channels of layer norms: tails, size 1, primes, real widths, more rows than one grid dimension holds. */
export const layerNormCases: readonly (readonly [rows: number, channels: number])[] = [
  [1, 1],
  [3, 7],
  [77, 64],
  [5, 320],
  [9, 36],
  [2, 1283],
  [65_537, 2],
];

/** Shapes that are timed: those of SD 1.5's widest latent and of BERT-base. */
export const layerNormBench: readonly (readonly [rows: number, channels: number])[] = [
  [4096, 320],
  [77, 768],
];

/** A group norm over B batches of S positions, with C1 channels and C2 of a skip input, in G groups. */
export interface GroupNormCase {
  batches: number;
  positions: number;
  c1: number;
  c2: number;
  groups: number;
}

/** The input channels of a case side by side: [B, S, C]. */
export function joinedInputs(x: Float32Array, skip: Float32Array, { c1, c2 }: GroupNormCase): Float32Array {
  const channels = c1 + c2;
  const at = (position: number, c: number) => (c < c1 ? x[position * c1 + c] : skip[position * c2 + c - c1]);
  return Float32Array.from({ length: x.length + skip.length }, (_, i) => at(Math.floor(i / channels), i % channels));
}

/** Size 1, groups that straddle quads and the two inputs, tails of chunks, widths that are no multiple of 4, a folded grid. */
export const groupNormCases: readonly GroupNormCase[] = [
  { batches: 1, positions: 1, c1: 4, c2: 0, groups: 1 },
  { batches: 3, positions: 7, c1: 6, c2: 3, groups: 3 },
  { batches: 2, positions: 35, c1: 8, c2: 12, groups: 2 },
  { batches: 1, positions: 131, c1: 20, c2: 0, groups: 2 },
  { batches: 2, positions: 64, c1: 64, c2: 32, groups: 32 },
  { batches: 1, positions: 257, c1: 320, c2: 0, groups: 32 },
  { batches: 2049, positions: 2, c1: 32, c2: 0, groups: 32 },
];

/** Shapes that are timed: SD 1.5's widest two levels, and the widest of the small model at a batch of 10. */
export const groupNormBench: readonly GroupNormCase[] = [
  { batches: 1, positions: 64 * 64, c1: 320, c2: 0, groups: 32 },
  { batches: 1, positions: 32 * 32, c1: 640, c2: 0, groups: 32 },
  { batches: 10, positions: 16 * 16, c1: 64, c2: 0, groups: 32 },
];

/** Rows and columns of softmaxes. */
export const softmaxCases: readonly (readonly [rows: number, columns: number])[] = [
  [1, 1],
  [5, 77],
  [3, 4],
  [131, 64],
  [7, 1024],
  [8209, 12],
];

/** The shape that is timed: the self-attention of SD 1.5's second level, were it not fused. */
export const softmaxBench: readonly (readonly [rows: number, columns: number])[] = [[8 * 1024, 1024]];
