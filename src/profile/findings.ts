import type { KernelMeasures, SavedProfile } from "./saved_profile.ts";
import { formatMs, formatPercent, formatRate } from "./units.ts";

/** Something that a profile says, and what to try. */
export interface Finding {
  fact: string;
  advice: string;
}

const mostKernels = 5;
/** Parts of the time below which nothing is worth a line. */
const worthALine = 0.03;
/** Workgroups a dispatch below which a GPU is not filled. */
const fewWorkgroups = 64;

/** Where time could be saved, the most first: kernels by what they take beyond their roofs, then what is lost between dispatches. */
export function findings(profile: SavedProfile): Finding[] {
  const { kernels, total } = profile;
  if (total.ms === 0) return [];
  const costly = kernels.filter(({ headroomMs, ms }) => headroomMs > worthALine * total.ms || ms > 4 * worthALine * total.ms);
  return [
    ...costly.sort((a, b) => b.headroomMs - a.headroomMs).slice(0, mostKernels).map((kernel) => kernelFinding(kernel, profile)),
    ...gapFindings(profile),
  ];
}

function kernelFinding(kernel: KernelMeasures, profile: SavedProfile): Finding {
  const { total } = profile;
  return {
    fact: `${kernel.kernel} takes ${formatPercent(kernel.share)} at ${formatPercent(kernel.roofShare)} of its roof (${limits[kernel.bound]}): ${formatPercent(kernel.headroomMs / total.ms)} of all time could be saved`,
    advice: kernelAdvice(kernel, profile),
  };
}

const limits = { compute: "arithmetic limits it", memory: "memory limits it", dispatch: "dispatches limit it" } as const;

function kernelAdvice({ kernel, variants, bound, calls, ms, medianMs, workgroups, roofShare }: KernelMeasures, { device, roofs }: SavedProfile): string {
  const unusualMs = ms - variants.reduce((sum, variant) => sum + variant.calls * variant.medianMs, 0);
  if (unusualMs > ms / 2) return `${formatMs(unusualMs)} ms of its ${formatMs(ms)} are a few slow calls (the median takes ${formatMs(medianMs)} ms): the machine was busy or the device woke up; profile again`;
  if (medianMs < 4 * roofs.emptyDispatchMs) {
    return `${calls} calls of ${formatMs(medianMs)} ms, of which an empty dispatch takes ${formatMs(roofs.emptyDispatchMs)}: fuse it with its neighbours or take larger batches`;
  }
  if (bound === "dispatch") return `it takes long for what it moves: look at its ${formatRate(workgroups / calls)} workgroups a dispatch, and at loops that one invocation runs alone`;
  if (/_naive$/.test(kernel)) return "the naive kernel was chosen: see in its op's plan why no other fits this device or shape";
  if (!device.software && workgroups / calls < fewWorkgroups) return `${formatRate(workgroups / calls)} workgroups a dispatch leave a GPU idle: smaller tiles, or split the sum`;
  if (bound === "memory" && device.features.includes("shader-f16") && /=f32/.test(variants[0].variant)) return "f16 storage (--dtype f16) halves its bytes";
  if (roofShare > 0.7) return "it is near its roof: only less work helps, such as fewer bytes by fusing, or fewer operations";
  return bound === "memory" ? "its reads are slower than a copy's: look at their order, width (vec4) and reuse" : "more products a load: larger register tiles, or wider loads";
}

function gapFindings({ gpu, host, wall, total }: SavedProfile): Finding[] {
  const found: Finding[] = [];
  if (gpu.gapMs > 2 * worthALine * gpu.spanMs) {
    found.push({
      fact: `${formatPercent(gpu.gapMs / gpu.spanMs)} of the device's time passes between the dispatches of a submission, ${formatMs(gpu.medianGapMs)} ms a gap`,
      advice: "part of it is the profile's own, which gives every dispatch a pass; fewer, larger dispatches shrink the rest",
    });
  }
  if (gpu.idleMs > 2 * worthALine * gpu.spanMs) {
    found.push({
      fact: `${formatPercent(gpu.idleMs / gpu.spanMs)} of the device's time it waits for the next submission`,
      advice: "the host is late: record steps instead of single operations, read back less often",
    });
  }
  if (host.encodeMs > 2 * worthALine * wall.againMs) {
    found.push({
      fact: `the host encodes ${host.dispatches} dispatches in ${formatMs(host.encodeMs)} ms, ${formatPercent(host.encodeMs / wall.againMs)} of the undisturbed run`,
      advice: "fewer dispatches, by fusing or larger batches",
    });
  }
  const profiling = wall.profiledMs / wall.againMs - 1;
  if (profiling > 0.25) {
    found.push({
      fact: `profiling made the run ${formatPercent(profiling)} longer than undisturbed`,
      advice: `compare times with each other, and their sum (${formatMs(total.ms)} ms) with the undisturbed run with care`,
    });
  }
  return found;
}
