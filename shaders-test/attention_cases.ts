/** Sizes of an attention in a test or bench; `amplitude` scales q, so that scores grow with it. */
export interface AttentionCase {
  batch: number;
  heads: number;
  queries: number;
  keys: number;
  headSize: number;
  amplitude?: number;
  causal?: boolean;
}

const sizes = (batch: number, heads: number, queries: number, keys: number, headSize: number, rest: Partial<AttentionCase> = {}): AttentionCase => ({
  batch,
  heads,
  queries,
  keys,
  headSize,
  ...rest,
});

/** Tails of every tile, size 1, odd and large heads, both head sizes of every model, large scores, causal rows. */
export const attentionCases: readonly AttentionCase[] = [
  sizes(1, 1, 1, 1, 1),
  sizes(2, 3, 7, 1, 5),
  sizes(3, 2, 13, 77, 13),
  sizes(1, 2, 65, 65, 40),
  sizes(2, 3, 33, 32, 64),
  sizes(1, 2, 70, 67, 80),
  sizes(2, 2, 17, 130, 160),
  sizes(1, 1, 40, 50, 256),
  sizes(1, 1, 36, 41, 512),
  sizes(10, 2, 64, 32, 16),
  sizes(1, 2, 30, 90, 40, { amplitude: 80 }),
  sizes(2, 3, 77, 77, 64, { causal: true }),
  sizes(1, 2, 19, 19, 64, { causal: true, amplitude: 40 }),
];

/** The few that are run with f16 storage too, and without subgroups: each compiles every variant anew. */
export const attentionFewCases: readonly AttentionCase[] = [sizes(3, 2, 13, 77, 13), sizes(1, 2, 65, 65, 40)];

/** Cross-attentions: contexts of 77 and 32 tokens, of one, and of more than a tile. */
export const crossAttentionCases: readonly AttentionCase[] = [
  sizes(1, 1, 1, 1, 1),
  sizes(2, 3, 7, 1, 5),
  sizes(3, 2, 21, 77, 13),
  sizes(2, 8, 70, 77, 40),
  sizes(2, 3, 65, 32, 64),
  sizes(1, 5, 33, 77, 80),
  sizes(2, 2, 17, 77, 160),
  sizes(1, 2, 19, 130, 256),
  sizes(10, 2, 64, 32, 16),
  sizes(5, 2, 64, 32, 32),
  sizes(1, 4, 30, 77, 40, { amplitude: 80 }),
];

/** The few that are run with f16 storage too, and without subgroups. */
export const crossAttentionFewCases: readonly AttentionCase[] = [sizes(2, 3, 65, 32, 64), sizes(1, 4, 30, 77, 40, { amplitude: 80 })];

/** Backward passes: sizes 1, tails of every tile, causal rows, large scores, the VAE's head, in slices. */
export const attentionBackwardCases: readonly AttentionCase[] = [
  sizes(1, 1, 1, 1, 4),
  sizes(2, 2, 5, 9, 5),
  sizes(1, 2, 33, 77, 40),
  sizes(2, 3, 77, 77, 5, { causal: true }),
  sizes(1, 2, 19, 9, 40, { amplitude: 40 }),
  sizes(1, 1, 35, 37, 512),
];

/** What is run with f16 storage too: each type compiles every kernel anew. */
export const attentionBackwardHalfCases: readonly AttentionCase[] = [sizes(1, 2, 33, 77, 40)];

/** Backward passes of cross-attentions, whose items share keys and values. */
export const crossAttentionBackwardCases: readonly AttentionCase[] = [sizes(3, 2, 1, 9, 4), sizes(5, 2, 33, 77, 5), sizes(2, 2, 65, 1, 40)];

/** Self-attentions that are timed: the three levels of SD 1.5 at 512x512, and its VAE's one head. */
export const attentionBench: readonly AttentionCase[] = [
  sizes(1, 8, 4096, 4096, 40),
  sizes(1, 8, 1024, 1024, 80),
  sizes(1, 8, 1024, 1024, 40),
  sizes(1, 8, 256, 256, 160),
  sizes(1, 1, 1024, 1024, 512),
  sizes(10, 2, 256, 256, 16),
];

/** Cross-attentions that are timed: SD 1.5's 77 tokens, and both levels of the phantom. */
export const crossAttentionBench: readonly AttentionCase[] = [
  sizes(1, 8, 4096, 77, 40),
  sizes(1, 8, 1024, 77, 40),
  sizes(1, 8, 1024, 77, 80),
  sizes(1, 8, 256, 77, 160),
  sizes(10, 2, 256, 32, 16),
  sizes(10, 2, 64, 32, 32),
];
