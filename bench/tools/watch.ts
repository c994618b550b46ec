import { watch } from "node:fs";
import { AttnscopeError, InputError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { formatMs } from "../../src/profile/units.ts";
import { median } from "../../src/statistics.ts";
import { Tensor } from "../../src/tensor.ts";
import { type BenchCase, type BenchResult, type MakeCases, bench } from "../harness.ts";
import { type KernelHook, hookKernel, readKernel } from "./edited_kernel.ts";

/** What is watched. */
export interface WatchOptions {
  gpu: Gpu;
  /** Folder and name of a kernel: matmul/matmul_subgroup. */
  kernel: string;
  kernelsFolder: string;
  families: readonly MakeCases[];
  print: (line: string) => void;
  signal: AbortSignal;
}

/** A case of the kernel, and what it is measured against. */
interface Group {
  edited: BenchCase;
  naiveMs?: number;
  /** The fastest other one, where it is not the naive one. */
  best?: BenchCase;
  /** What the naive kernel gives, or the kernel itself gave when it was first seen; nothing where the case returns no tensors. */
  expected: Float32Array;
  /** Largest error of the kernel when it was first seen, as a part of the largest value. */
  firstError: number;
  /** Its last time in yardsticks. */
  last?: number;
}

/** Names of cases that are timed at each save: two seconds hold no more. */
const mostGroups = 2;
const rounds = 3;
/** Operations past which the naive kernel is not timed: it takes seconds on a CPU device. */
const naiveFlops = 3e9;
/** Errors of this many times those at the start are called wrong, and none below the floor. */
const [tolerance, floor] = [4, 1e-6];
/** Milliseconds in which the events of one save arrive. */
const settling = 30;

/**
 * Times a kernel whenever a file of `kernelsFolder` is saved: whether it still computes what the naive one does, and how
 * fast beside the naive one, the best other one and its own last version. Ends when the signal aborts.
 * @throws InputError for a kernel that no case uses
 */
export async function watchKernel(options: WatchOptions): Promise<void> {
  const { gpu, kernel, kernelsFolder, print, signal } = options;
  const hook = hookKernel(gpu, kernel);
  const groups = await openGroups(options, hook);
  print(`${kernel}: watching ${kernelsFolder}; ${groups.map(({ edited }) => edited.name).join("; ")}`);
  const saves = watchSaves(kernelsFolder, signal);
  await report(options, hook, groups);
  while (await saves.next()) await report(options, hook, groups);
}

async function openGroups({ gpu, kernel, families }: WatchOptions, hook: KernelHook): Promise<Group[]> {
  const groups: Group[] = [];
  for (const makeCases of families) {
    const cases = makeCases(gpu);
    const edited = cases.filter(({ run }) => hook.isUsedBy(run));
    for (const of of edited.filter((one, i) => edited.findIndex(({ name }) => name === one.name) === i).slice(0, mostGroups - groups.length)) {
      groups.push(await openGroup(gpu, of, cases.filter(({ name, variant }) => name === of.name && variant !== of.variant && variant !== "copy"), edited));
    }
  }
  if (groups.length === 0) throw new InputError(kernel, "no bench case uses it on this device; name its family, or another kernel");
  return groups;
}

async function openGroup(gpu: Gpu, edited: BenchCase, others: readonly BenchCase[], ofTheKernel: readonly BenchCase[]): Promise<Group> {
  const naive = others.find(({ variant }) => /naive/.test(variant));
  const expected = await valuesOf(naive ?? edited);
  const firstError = errorOf(await valuesOf(edited), expected);
  const rivals = others.filter((other) => !ofTheKernel.includes(other) && (other !== naive || other.flops < naiveFlops));
  const timed = await bench(gpu, rivals, 1);
  const best = [...timed].sort((a, b) => a.medianMs - b.medianMs)[0];
  const find = (variant: string | undefined) => rivals.find((rival) => rival.variant === variant);
  return { edited, naiveMs: timed.find(({ variant }) => variant === naive?.variant)?.medianMs, best: best?.variant === naive?.variant ? undefined : find(best?.variant), expected, firstError };
}

async function report({ gpu, kernelsFolder, print }: WatchOptions, hook: KernelHook, groups: readonly Group[]): Promise<void> {
  const started = performance.now();
  try {
    if (!hook.builtIn) throw new TypeError("the kernel was not dispatched");
    hook.substitute(readKernel(kernelsFolder, hook.builtIn));
    for (const group of groups) print(await measureGroup(gpu, group));
    print(`  ${((performance.now() - started) / 1e3).toFixed(1)} s`);
  } catch (error) {
    if (!(error instanceof AttnscopeError)) throw error;
    print(`  ${error.message}`);
  }
}

async function measureGroup(gpu: Gpu, group: Group): Promise<string> {
  const { edited, best, naiveMs, expected, firstError } = group;
  const verdict = judge(await valuesOf(edited), expected, firstError);
  const [result, rival] = await bench(gpu, best ? [edited, best] : [edited], rounds);
  const inYardsticks = medianRatio(result);
  const against = (name: string, ratio: number | undefined) => (ratio === undefined ? [] : [`${ratio.toFixed(2)} x ${name}`]);
  const speeds = [
    ...against("as fast as last", group.last && group.last / inYardsticks),
    ...against(`as fast as ${best?.variant}`, rival && rival.medianMs / result.medianMs),
    ...against("as fast as naive", naiveMs && naiveMs / result.medianMs),
  ];
  group.last = inYardsticks;
  return `  ${edited.name}: ${verdict}; ${formatMs(result.medianMs)} ms, ${result.gflops.toFixed(1)} GFLOP/s, ${result.gbps.toFixed(2)} GB/s; ${speeds.join(", ")}`;
}

function judge(values: Float32Array, expected: Float32Array, firstError: number): string {
  if (expected.length === 0) return "not checked";
  const error = errorOf(values, expected);
  const verdict = error <= Math.max(tolerance * firstError, floor) ? "right" : "WRONG";
  return `${verdict}, error ${error.toExponential(1)} (at first ${firstError.toExponential(1)})`;
}

function medianRatio({ roundsMs, yardstickMs }: BenchResult): number {
  return median(roundsMs.map((ms, i) => ms / yardstickMs[i]));
}

/** All values that a case makes; none where it returns no tensors. */
async function valuesOf({ run, runAfresh = run }: BenchCase): Promise<Float32Array> {
  const output = runAfresh();
  const tensors = output instanceof Tensor ? [output] : (output.tensors ?? []);
  const parts = await Promise.all(tensors.map((tensor) => tensor.read())).finally(() => output.free());
  const values = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (values.set(part, at), at + part.length), 0);
  return values;
}

/** Largest difference as a part of the largest value; infinite where a value is not finite. */
function errorOf(actual: Float32Array, expected: Float32Array): number {
  let [difference, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i])) return Infinity;
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return largest > 0 ? difference / largest : difference;
}

/** Watches a folder from now on. `next` waits for a save, however many events it makes; false where the signal has ended it. */
function watchSaves(folder: string, signal: AbortSignal): { next(): Promise<boolean> } {
  let saved = false;
  let wake = () => {};
  watch(folder, { recursive: true, signal }, () => {
    saved = true;
    wake();
  });
  signal.addEventListener("abort", () => wake());
  return {
    async next() {
      while (!saved && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
      await new Promise((resolve) => setTimeout(resolve, settling));
      saved = false;
      return !signal.aborted;
    },
  };
}
