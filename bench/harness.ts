import { openGpu } from "../src/gpu/open_node.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Tensor } from "../src/tensor.ts";

/** One thing to time: `run` records the work once; flops and bytes are those of one run. */
export interface BenchCase {
  name: string;
  variant: string;
  flops: number;
  bytes: number;
  /** Records the work; what it returns is freed after each run. */
  run: () => { free(): void };
}

/** A timed case: median and least milliseconds over the rounds. */
export interface BenchResult {
  name: string;
  variant: string;
  medianMs: number;
  leastMs: number;
  gflops: number;
  gbps: number;
}

/** What a case returns that makes several tensors. */
export function together(tensors: Iterable<Tensor | undefined>): { free(): void } {
  return {
    free: () => {
      for (const tensor of tensors) tensor?.free();
    },
  };
}

const warmUps = 2;
const rounds = 7;
const roundMs = 60;

async function timeOnce(gpu: Gpu, run: BenchCase["run"], repeats: number): Promise<number> {
  await gpu.sync();
  const start = performance.now();
  for (let i = 0; i < repeats; i++) run().free();
  await gpu.sync();
  return (performance.now() - start) / repeats;
}

/** Times cases interleaved in rounds, so that a slow minute of the machine falls on all of them. */
export async function bench(gpu: Gpu, cases: BenchCase[]): Promise<BenchResult[]> {
  const repeats: number[] = [];
  for (const { run } of cases) {
    let once = 0;
    for (let i = 0; i < warmUps; i++) once = await timeOnce(gpu, run, 1);
    repeats.push(Math.max(1, Math.min(50, Math.round(roundMs / once))));
  }
  const times: number[][] = cases.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run }] of cases.entries()) times[i].push(await timeOnce(gpu, run, repeats[i]));
  }
  return cases.map(({ name, variant, flops, bytes }, i) => {
    const sorted = times[i].sort((a, b) => a - b);
    const medianMs = sorted[Math.floor(rounds / 2)];
    return { name, variant, medianMs, leastMs: sorted[0], gflops: flops / medianMs / 1e6, gbps: bytes / medianMs / 1e6 };
  });
}

/** Runs the cases of one family on the default device and prints a table. */
export async function benchMain(makeCases: (gpu: Gpu) => BenchCase[]): Promise<void> {
  const gpu = await openGpu();
  console.log(`device ${gpu.adapter.device}, driver ${gpu.adapter.description}; ${warmUps} warm-ups, median of ${rounds} interleaved rounds`);
  const results = await bench(gpu, makeCases(gpu));
  for (const { name, variant, medianMs, leastMs, gflops, gbps } of results) {
    const rates = `${gflops.toFixed(2).padStart(8)} GFLOP/s ${gbps.toFixed(2).padStart(7)} GB/s`;
    console.log(`${name.padEnd(44)} ${variant.padEnd(16)} ${medianMs.toFixed(3).padStart(10)} ms (least ${leastMs.toFixed(3)}) ${rates}`);
  }
  gpu.close();
}
