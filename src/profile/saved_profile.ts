import { InputError } from "../errors.ts";
import type { VariantChoice } from "../gpu/variant_choices.ts";
import { parseJson } from "../weights/byte_source.ts";
import type { Measures, Roofs } from "./measures.ts";
import type { MemoryCurve } from "./memory_curve.ts";

/** All calls of one kernel in one variant. */
export interface VariantMeasures extends Measures {
  /** Element types and constants. */
  variant: string;
  /** Index in the profile's `wgsl`. */
  source: number;
}

/** All calls of one kernel. */
export interface KernelMeasures extends Measures {
  kernel: string;
  variants: VariantMeasures[];
}

/** All calls under one scope, those of its inner scopes included. */
export interface ScopeMeasures extends Measures {
  /** Path, such as `unet/down_blocks.1/attn2`. */
  scope: string;
}

/** All calls of one kernel, variant and grid right under one scope. */
export interface CallMeasures extends Measures {
  scope: string;
  kernel: string;
  variant: string;
  grid: readonly [number, number, number];
  /** What the op chose between kernels, where it does. */
  choice?: VariantChoice;
}

/** All calls in which an op took one variant for one shape class: what `attnscope tune` measures and its file names. */
export interface ChoiceMeasures extends Measures {
  choice: VariantChoice;
}

/** One submission, in milliseconds since the profile began. */
export interface SubmissionTimes {
  encodeStartMs: number;
  encodeMs: number;
  /** Of its first and last dispatch; the same where the device has no timestamps. */
  startMs: number;
  endMs: number;
  dispatches: number;
}

/** What was profiled, and how. */
export interface ProfiledWork {
  /** ground, unet, train, vae or text. */
  what: string;
  /** In words. */
  title: string;
  /** Name of its folder. */
  model: string;
  settings: Record<string, string | number>;
}

/** A profile as `attnscope profile --json` prints it. */
export interface SavedProfile {
  format: typeof profileFormat;
  version: string;
  work: ProfiledWork;
  device: { adapter: string; driver: string; software: boolean; features: string[] };
  /** Greatest common divisor of the timestamps in nanoseconds; 0: the device has none, and all times are 0. */
  quantumNs: number;
  /** What the reader must know of the times. */
  notes: string[];
  roofs: Roofs;
  /** The same work three times, in milliseconds of the host's clock: first (kernels are compiled), again, and profiled. */
  wall: { firstMs: number; againMs: number; profiledMs: number; pipelines: number };
  /** The host's part of the second run. */
  host: { submissions: number; dispatches: number; encodeMs: number; medianDispatchUs: number };
  /** From the first to the last dispatch of the profiled run: in dispatches, between those of a submission, between submissions. */
  gpu: { spanMs: number; busyMs: number; gapMs: number; medianGapMs: number; idleMs: number };
  total: Measures;
  kernels: KernelMeasures[];
  scopes: ScopeMeasures[];
  calls: CallMeasures[];
  choices: ChoiceMeasures[];
  submissions: SubmissionTimes[];
  memory: MemoryCurve & { peakHeldBytes: number };
  /** Final WGSL of the kernels. */
  wgsl: string[];
}

export const profileFormat = "attnscope profile 1";

/** Reads what `attnscope profile --json` printed. @throws InputError */
export function parseSavedProfile(file: string, text: string): SavedProfile {
  const value = parseJson(file, text) as Partial<SavedProfile> | null;
  if (value?.format !== profileFormat) throw new InputError(file, `is not an "${profileFormat}"; expected what attnscope profile --json prints`);
  return value as SavedProfile;
}
