import { type Profile, type ProfileRow, sourceKey } from "../gpu/profile.ts";
import type { VariantChoice } from "../gpu/variant_choices.ts";
import { median } from "../statistics.ts";
import { type Measures, type Roofs, measure } from "./measures.ts";
import { memoryCurve } from "./memory_curve.ts";
import type { CallMeasures, ChoiceMeasures, KernelMeasures, SavedProfile, ScopeMeasures, SubmissionTimes, VariantMeasures } from "./saved_profile.ts";

/** The part of a saved profile that follows from `gpu.profile` and the roofs. */
export type ProfileSummary = Pick<SavedProfile, "gpu" | "total" | "kernels" | "scopes" | "calls" | "choices" | "submissions" | "wgsl" | "roofs" | "quantumNs"> & { memory: ReturnType<typeof memoryCurve> };

/** Sums up a profile by kernel, by scope and by call; the groups that took longest come first. */
export function summarise(profile: Profile, roofs: Roofs): ProfileSummary {
  const { rows } = profile;
  const totalMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const measured = (group: readonly ProfileRow[]) => measure(group, roofs, totalMs);
  const wgsl = [...new Set(profile.sources.values())];
  const sourceOf = (row: ProfileRow) => wgsl.indexOf(profile.sources.get(sourceKey(row)) ?? "");
  const variantsOf = (group: ProfileRow[]) => grouped(group, ({ variant }) => variant).map((same): VariantMeasures => ({ variant: same[0].variant, source: sourceOf(same[0]), ...measured(same) })).sort(longestFirst);
  const kernels = grouped(rows, ({ kernel }) => kernel).map((group): KernelMeasures => ({ kernel: group[0].kernel, ...measured(group), variants: variantsOf(group) }));
  const calls = grouped(rows, (row) => `${row.scope}|${sourceKey(row)}|${row.grid}|${row.choice?.shapeClass}`).map((group): CallMeasures => {
    const { scope, kernel, variant, grid, choice } = group[0];
    return { scope, kernel, variant, grid, choice, ...measured(group) };
  });
  const choosing = rows.filter(({ choice }) => choice !== undefined);
  const choices = grouped(choosing, ({ choice }) => JSON.stringify(choice)).map((group): ChoiceMeasures => ({ choice: group[0].choice as VariantChoice, ...measured(group) }));
  const scopes = scopeGroups(rows).map(([scope, group]): ScopeMeasures => ({ scope, ...measured(group) }));
  return {
    quantumNs: profile.quantumNs,
    roofs,
    gpu: gpuTimes(rows),
    total: measured(rows),
    kernels: kernels.sort(longestFirst),
    scopes,
    calls: calls.sort(longestFirst),
    choices: choices.sort(longestFirst),
    submissions: submissionTimes(profile),
    memory: memoryCurve(profile.memory, profile.wallMs),
    wgsl,
  };
}

/** Without times, what moved most. */
const longestFirst = (a: Measures, b: Measures) => b.ms - a.ms || b.bytes - a.bytes;

function grouped(rows: readonly ProfileRow[], keyOf: (row: ProfileRow) => string): ProfileRow[][] {
  const groups = new Map<string, ProfileRow[]>();
  for (const row of rows) addRow(groups, keyOf(row), row);
  return [...groups.values()];
}

function addRow(groups: Map<string, ProfileRow[]>, key: string, row: ProfileRow): void {
  const group = groups.get(key);
  if (group) group.push(row);
  else groups.set(key, [row]);
}

/** Rows under each scope and under all around it, in the order in which the scopes first ran. */
function scopeGroups(rows: readonly ProfileRow[]): [string, ProfileRow[]][] {
  const groups = new Map<string, ProfileRow[]>();
  for (const row of rows) {
    const parts = row.scope.split("/");
    for (let depth = 1; depth <= parts.length; depth++) addRow(groups, parts.slice(0, depth).join("/"), row);
  }
  return [...groups];
}

/** Dispatches by submission, each in the order of its commands. */
function bySubmission(rows: readonly ProfileRow[]): ProfileRow[][] {
  return grouped(rows, ({ submission }) => String(submission));
}

const endOf = ({ startMs, ms }: ProfileRow) => startMs + ms;

function gpuTimes(rows: readonly ProfileRow[]): SavedProfile["gpu"] {
  const busyMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  if (busyMs === 0) return { spanMs: 0, busyMs, gapMs: 0, medianGapMs: 0, idleMs: 0 };
  const groups = bySubmission(rows);
  const gaps = groups.flatMap((group) => group.slice(1).map((row, i) => Math.max(0, row.startMs - endOf(group[i]))));
  const idle = groups.slice(1).map((group, i) => Math.max(0, group[0].startMs - endOf(groups[i][groups[i].length - 1])));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return { spanMs: endOf(rows[rows.length - 1]) - rows[0].startMs, busyMs, gapMs: sum(gaps), medianGapMs: median(gaps), idleMs: sum(idle) };
}

function submissionTimes({ rows, submissions }: Profile): SubmissionTimes[] {
  const groups = bySubmission(rows);
  return submissions.map(({ startMs, encodeMs, dispatches }, i) => ({
    encodeStartMs: startMs,
    encodeMs,
    startMs: groups[i][0].startMs,
    endMs: endOf(groups[i][groups[i].length - 1]),
    dispatches,
  }));
}
