import { InputError } from "../src/errors.ts";
import { openGpu } from "../src/gpu/open_node.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { median } from "../src/statistics.ts";
import type { Tensor } from "../src/tensor.ts";
import { createYardstick } from "./tools/yardstick.ts";

/** What a run makes, freed after it. */
export interface BenchOutput {
  free(): void;
  /** Where it is not a tensor itself. */
  readonly tensors?: readonly Tensor[];
}

/** One thing to time: `run` records the work once; flops and bytes are those of one run. */
export interface BenchCase {
  name: string;
  variant: string;
  flops: number;
  bytes: number;
  /** Records the work; what it returns is freed after each run. */
  run: () => BenchOutput;
  /** Where `run` changes its tensors in place: the same on fresh ones, which it returns. */
  runAfresh?: () => BenchOutput;
}

/** A timed case: median and least milliseconds over the rounds. */
export interface BenchResult extends Omit<BenchCase, "run" | "runAfresh"> {
  medianMs: number;
  leastMs: number;
  gflops: number;
  gbps: number;
  /** Milliseconds in each round. */
  roundsMs: number[];
  /** Milliseconds of the yardstick right before. */
  yardstickMs: number[];
}

/** What a case returns that makes several tensors. */
export function together(made: Iterable<Tensor | undefined>): BenchOutput {
  const tensors = [...made].filter((tensor) => tensor !== undefined);
  return { tensors, free: () => tensors.forEach((tensor) => tensor.free()) };
}

/** Runs before any is counted. */
export const warmUps = 2;
/** Fewest rounds that are timed: as many in two runs tell a change among a thousand cases. */
export const fewestRounds = 9;
const roundMs = 60;

/** Work to time, which may wait for the device in its middle. */
export type TimedRun = () => BenchOutput | Promise<BenchOutput>;

/** Milliseconds of a run, mean of some repeats. */
export async function timeRuns(gpu: Gpu, run: TimedRun, repeats: number): Promise<number> {
  await gpu.sync();
  const start = performance.now();
  for (let i = 0; i < repeats; i++) (await run()).free();
  await gpu.sync();
  return (performance.now() - start) / repeats;
}

/** Warms a case up, and says how often it fits into a round. */
export async function repeatsOf(gpu: Gpu, run: TimedRun): Promise<number> {
  let once = 0;
  for (let i = 0; i < warmUps; i++) once = await timeRuns(gpu, run, 1);
  return Math.max(1, Math.min(50, Math.round(roundMs / once)));
}

/** Milliseconds of a work in each round, and of the yardstick right before. */
export type RoundTimes = Pick<BenchResult, "roundsMs" | "yardstickMs">;

/** Times works interleaved in rounds, so that a slow minute of the machine falls on all of them. `timers` give milliseconds. */
export async function timeInTurns(gpu: Gpu, timers: readonly (() => Promise<number>)[], rounds: number): Promise<RoundTimes[]> {
  const yardstick = createYardstick(gpu);
  await yardstick.time();
  const times = timers.map((): RoundTimes => ({ roundsMs: [], yardstickMs: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [i, time] of timers.entries()) {
      times[i].yardstickMs.push(await yardstick.time());
      times[i].roundsMs.push(await time());
    }
  }
  yardstick.free();
  return times;
}

/** Times cases in turns. */
export async function bench(gpu: Gpu, cases: readonly BenchCase[], rounds = fewestRounds): Promise<BenchResult[]> {
  const repeats: number[] = [];
  for (const { run } of cases) repeats.push(await repeatsOf(gpu, run));
  const times = await timeInTurns(gpu, cases.map(({ run }, i) => () => timeRuns(gpu, run, repeats[i])), rounds);
  return cases.map(({ run: _run, runAfresh: _runAfresh, ...facts }, i) => {
    const medianMs = median(times[i].roundsMs);
    return { ...facts, medianMs, leastMs: Math.min(...times[i].roundsMs), gflops: facts.flops / medianMs / 1e6, gbps: facts.bytes / medianMs / 1e6, ...times[i] };
  });
}

/** Makes the cases of a family on a device. */
export type MakeCases = (gpu: Gpu) => BenchCase[];

type Print = (line: string) => void;

/** Prints what follows from a family's times. */
export type Summarise = (results: readonly BenchResult[], print: Print) => void;

/** What happens to the cases of the families: they are timed, unless someone else wants them. */
export type FamilyRunner = (makeCases: MakeCases, summarise?: Summarise) => Promise<void>;

let runFamily: FamilyRunner = async (makeCases, summarise) => {
  const gpu = await openGpu();
  try {
    await printFamily(gpu, makeCases, { summarise });
  } finally {
    gpu.close();
  }
};
let askedShapes: readonly (readonly number[])[] | undefined;
let shapesWereTaken = false;

/** Hands the cases of all families that are imported from now on to `runner`; `shapes` stand in for the families' own. */
export function takeFamilies(runner: FamilyRunner, shapes?: typeof askedShapes): void {
  runFamily = runner;
  askedShapes = shapes;
}

/** The shapes that were asked for, or a family's own. `sides` names what a shape is made of. @throws InputError */
export function shapesOf<S extends readonly number[]>(sides: { readonly [K in keyof S]: string }, own: readonly S[]): readonly S[] {
  shapesWereTaken = true;
  for (const shape of askedShapes ?? []) {
    if (shape.length !== sides.length) throw new InputError("--shapes", `${shape.join("x")} has ${shape.length} sides; give ${sides.join("x")}`);
  }
  return (askedShapes as readonly S[] | undefined) ?? own;
}

/** Times a family's cases and prints a table, and what `summarise` prints of it. */
export async function printFamily(gpu: Gpu, makeCases: MakeCases, options: { summarise?: Summarise; rounds?: number; print?: Print } = {}): Promise<BenchResult[]> {
  const { summarise, rounds = fewestRounds, print = console.log } = options;
  print(`device ${gpu.adapter.device}, driver ${gpu.adapter.description}; ${warmUps} warm-ups, median of ${rounds} interleaved rounds`);
  const results = await bench(gpu, makeCases(gpu), rounds);
  for (const { name, variant, medianMs, leastMs, gflops, gbps } of results) {
    const rates = `${gflops.toFixed(2).padStart(8)} GFLOP/s ${gbps.toFixed(2).padStart(7)} GB/s`;
    print(`${name.padEnd(44)} ${variant.padEnd(16)} ${medianMs.toFixed(3).padStart(10)} ms (least ${leastMs.toFixed(3)}) ${rates}`);
  }
  summarise?.(results, print);
  return results;
}

/** Offers the cases of one family. @throws InputError where shapes were asked for and the family has none to choose */
export async function benchMain(makeCases: MakeCases, summarise?: Summarise): Promise<void> {
  const checked: MakeCases = (gpu) => {
    shapesWereTaken = false;
    const cases = makeCases(gpu);
    if (askedShapes && !shapesWereTaken) throw new InputError("--shapes", "these cases have no shapes to choose; leave it out");
    return cases;
  };
  await runFamily(checked, summarise);
}
