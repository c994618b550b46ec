/**
 * Random numbers from 32-bit integer operations alone (xoshiro128**, Blackman and Vigna 2018), so that every engine
 * draws the same ones.
 */
export interface Random {
  /** A number in [low, high). */
  uniform(low: number, high: number): number;
  /** An integer in [0, count). */
  integer(count: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One of the items, each as likely as the others or by its weight. */
  choose<T>(items: readonly T[], weights?: readonly number[]): T;
  /** The items in a random order. */
  shuffle<T>(items: readonly T[]): T[];
  /** Normal with mean 0 and variance 1, by the sum of four uniform bytes: never beyond 3.5. */
  normal(): number;
}

/** How many values 32 bits have. */
const WORD = 0x1_0000_0000;

/** The stream of a key of non-negative integers. Different keys give independent streams. */
export function createRandom(...key: readonly number[]): Random {
  let [s0, s1, s2, s3] = seedState(key);
  const bits = () => {
    const fives = Math.imul(s1, 5);
    const result = Math.imul((fives << 7) | (fives >>> 25), 9);
    const shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = (s3 << 11) | (s3 >>> 21);
    return result >>> 0;
  };
  const unit = () => bits() / WORD;
  const integer = (count: number) => Math.floor(unit() * count);
  return {
    uniform: (low, high) => low + (high - low) * unit(),
    integer,
    chance: (probability) => unit() < probability,
    choose: (items, weights) => items[weights ? weightedIndex(weights, unit()) : integer(items.length)],
    shuffle(items) {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
      }
      return shuffled;
    },
    normal() {
      const word = bits();
      return ((word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24) - 510) / NORMAL_SCALE;
    },
  };
}

/** Standard deviation of the sum of four uniform bytes. */
const NORMAL_SCALE = Math.sqrt((4 * (256 * 256 - 1)) / 12);

function weightedIndex(weights: readonly number[], unit: number): number {
  let left = unit * weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.findIndex((weight) => (left -= weight) < 0);
  return index < 0 ? weights.length - 1 : index;
}

/** Four state words of a key: both halves of every number go through MurmurHash3's finaliser. */
function seedState(key: readonly number[]): number[] {
  let hash = 0x9e3779b9;
  for (const part of key) {
    hash = mix(hash ^ (part % WORD));
    hash = mix(hash ^ Math.floor(part / WORD) ^ 0x7f4a7c15);
  }
  return [1, 2, 3, 4].map((word) => mix(hash + Math.imul(word, 0x9e3779b9)));
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
