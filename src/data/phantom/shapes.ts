/**
 * The curves that films are drawn with. Engines differ in the last bits of `Math.sin`, `Math.exp` and `Math.pow`, so
 * everything here is + - * / and `Math.sqrt`, which IEEE 754 defines to the bit: the same film comes out everywhere.
 */
import type { Random } from "../../random.ts";

export function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}

/** Rises smoothly from 0 at x = -1 to 1 at x = 1. */
export function step(x: number): number {
  if (x <= -1) return 0;
  if (x >= 1) return 1;
  const t = 0.5 + 0.5 * x;
  return t * t * (3 - 2 * t);
}

/** A bell like exp(-x²), but zero from |x| = 2.83 on: (1 - x²/8)^8. */
export function bell(x: number): number {
  const inside = 1 - (x * x) / 8;
  if (inside <= 0) return 0;
  const square = inside * inside;
  const fourth = square * square;
  return fourth * fourth;
}

/** cos(2 pi x) by its series to the tenth power: within 0.002. */
export function wave(x: number): number {
  const fraction = x - Math.floor(x + 0.5);
  const s = fraction * fraction;
  return 1 - s * (19.7392088 - s * (64.9393940 - s * (85.4568172 - s * (60.2446414 - s * 26.4262568))));
}

/** The smaller of two distances, with the corner between them rounded over `radius`. */
export function smoothMin(a: number, b: number, radius: number): number {
  const blend = clamp(0.5 + (0.5 * (b - a)) / radius, 0, 1);
  return b + (a - b) * blend - radius * blend * (1 - blend);
}

/** The larger of two distances, with the corner between them filled over `radius`. */
export function smoothMax(a: number, b: number, radius: number): number {
  return -smoothMin(-a, -b, radius);
}

/** Random values in [-1, 1] on a grid of cells, blended smoothly between; the grid repeats. */
export type Noise = (x: number, y: number) => number;

/** Side of the grid that repeats: a power of two. */
const NOISE_SIDE = 32;

export function createNoise(random: Random): Noise {
  const grid = Float64Array.from({ length: NOISE_SIDE * NOISE_SIDE }, () => random.uniform(-1, 1));
  const wrap = NOISE_SIDE - 1;
  return (x, y) => {
    const left = Math.floor(x);
    const top = Math.floor(y);
    const fx = blend(x - left);
    const fy = blend(y - top);
    const upper = (top & wrap) * NOISE_SIDE;
    const lower = ((top + 1) & wrap) * NOISE_SIDE;
    const a = grid[upper + (left & wrap)];
    const b = grid[upper + ((left + 1) & wrap)];
    const c = grid[lower + (left & wrap)];
    const d = grid[lower + ((left + 1) & wrap)];
    return a + (b - a) * fx + (c - a + (a - b - c + d) * fx) * fy;
  };
}

function blend(t: number): number {
  return t * t * (3 - 2 * t);
}
