/** A tensor's claim to a buffer: its size in bytes, and the moments of the recording between which it is held. */
export interface Claim {
  readonly size: number;
  readonly start: number;
  /** Infinity: to the end of the step. */
  readonly end: number;
}

/**
 * Divides claims into groups that one buffer each can serve: no two of a group are held at the same time, the first is the
 * largest. The largest claims choose first, each the smallest buffer that is free all the while ("greedy by size" for shared
 * objects: Pisarchyk and Lee 2020, Efficient Memory Management for Deep Neural Net Inference). Whole buffers, not ranges of
 * one: WebGPU lets no dispatch read one range of a buffer and write another.
 */
export function placeClaims<C extends Claim>(claims: readonly C[]): C[][] {
  const groups: C[][] = [];
  for (const claim of [...claims].sort((a, b) => b.size - a.size)) {
    // Groups were begun in falling size: the last that is free is the smallest.
    const free = groups.findLast((group) => group.every((other) => other.end < claim.start || claim.end < other.start));
    if (free) free.push(claim);
    else groups.push([claim]);
  }
  return groups;
}

/** The claims that are held when they are the most bytes together. */
export function claimsAtPeak<C extends Claim>(claims: readonly C[]): C[] {
  const changes = claims.flatMap(({ size, start, end }) => [{ at: start, bytes: size }, { at: end, bytes: -size }]);
  let live = 0;
  let peak = { at: 0, live: 0 };
  for (const { at, bytes } of changes.sort((a, b) => a.at - b.at)) {
    live += bytes;
    if (live > peak.live) peak = { at, live };
  }
  return claims.filter(({ start, end }) => start <= peak.at && peak.at < end);
}
