import { copy, fmaChain } from "./generated/kernels.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { zeros } from "./ops/fill.ts";
import { elementGrid } from "./ops/grid.ts";
import { matmul } from "./ops/matmul.ts";
import type { Tensor } from "./tensor.ts";

/** What a device reaches in practice: the scale on which kernels are judged. */
export interface Peaks {
  /** Gigabytes a second, read and written together, of a copy of 64 MiB. */
  copyGBps: number;
  /** GFLOP/s of f32 multiplications and additions in registers. */
  fmaGflops: number;
  /** GFLOP/s of the default matmul kernel on square f32 matrices. */
  matmulGflops: number;
}

const copyFloats = 2 ** 24;

/** Measures a device's copy, arithmetic and matmul rates: the best of several rounds each. Takes about a second. */
export async function measurePeaks(gpu: Gpu): Promise<Peaks> {
  return { copyGBps: await measureCopy(gpu), fmaGflops: await measureFma(gpu), matmulGflops: await measureMatmul(gpu) };
}

async function measureCopy(gpu: Gpu): Promise<number> {
  const x = zeros(gpu, [copyFloats]);
  const y = zeros(gpu, [copyFloats]);
  const rate = await runsPerSecond(gpu, "copy", () => dispatchCopy(x, y));
  const bytes = x.byteLength + y.byteLength;
  x.free();
  y.free();
  return (rate * bytes) / 1e9;
}

/** Copies x to y, f32 of one size, a multiple of 4: nothing but memory traffic. */
export function dispatchCopy(x: Tensor, y: Tensor): void {
  const count = x.size / 4;
  x.gpu.run(copy, { bindings: { x, y }, params: { count }, prelude: {}, grid: elementGrid(x.gpu, count), bytes: x.byteLength + y.byteLength });
}

/** Floating-point operations of an element in one round of kernels/pointwise/fma_chain.wgsl. */
const fmaRoundFlops = 2 * 12 * 8;

async function measureFma(gpu: Gpu): Promise<number> {
  const [count, rounds] = gpu.adapter.software ? [2 ** 13, 64] : [2 ** 20, 256];
  const x = zeros(gpu, [count]);
  const y = zeros(gpu, [count]);
  const rate = await runsPerSecond(gpu, "fma", () => dispatchFma(x, y, rounds));
  x.free();
  y.free();
  return (rate * count * rounds * fmaRoundFlops) / 1e9;
}

/** Fills y by `rounds` rounds of multiplications and additions on x, f32 of one size: nothing but arithmetic in registers. */
export function dispatchFma(x: Tensor, y: Tensor, rounds: number): void {
  const count = x.size;
  x.gpu.run(fmaChain, { bindings: { x, y }, params: { count, rounds }, prelude: {}, grid: Math.ceil(count / 64), flops: count * rounds * fmaRoundFlops });
}

async function measureMatmul(gpu: Gpu): Promise<number> {
  const side = gpu.adapter.software ? 512 : 2048;
  const a = zeros(gpu, [side, side]);
  const rate = await runsPerSecond(gpu, "matmul", () => matmul(a, a));
  a.free();
  return (rate * 2 * side ** 3) / 1e9;
}

const rounds = 5;
const roundMs = 30;

async function runsPerSecond(gpu: Gpu, name: string, work: () => unknown): Promise<number> {
  const step = gpu.record(name, work);
  let best = 0;
  let repeats = 1;
  for (let round = 0; round < rounds; round++) {
    await gpu.sync();
    const start = performance.now();
    for (let i = 0; i < repeats; i++) step.replay();
    await gpu.sync();
    const ms = performance.now() - start;
    best = Math.max(best, (1e3 * repeats) / ms);
    repeats = Math.max(1, Math.min(100, Math.round((repeats * roundMs) / ms)));
  }
  step.free();
  return best;
}
