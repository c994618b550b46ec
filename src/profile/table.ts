import { findings } from "./findings.ts";
import type { Measures } from "./measures.ts";
import type { ChoiceMeasures, KernelMeasures, SavedProfile, ScopeMeasures } from "./saved_profile.ts";
import { textTable } from "./text_table.ts";
import { formatMib, formatMs, formatPercent, formatRate } from "./units.ts";

/** A column of the measures' tables. */
export interface MeasureColumn {
  head: string;
  /** What the head means. */
  title: string;
  text: (of: Measures) => string;
  /** What the table is sorted by. */
  value: (of: Measures) => number;
}

/** What cannot be said without timestamps. */
const ifTimed = (text: (of: Measures) => string) => (of: Measures) => (of.ms > 0 ? text(of) : "–");

export const measureColumns: readonly MeasureColumn[] = [
  { head: "calls", title: "dispatches", text: ({ calls }) => String(calls), value: ({ calls }) => calls },
  { head: "ms", title: "time of all calls", text: ifTimed(({ ms }) => formatMs(ms)), value: ({ ms }) => ms },
  { head: "share", title: "part of all dispatches' time", text: ifTimed(({ share }) => formatPercent(share)), value: ({ share }) => share },
  { head: "median ms", title: "median time of a call", text: ifTimed(({ medianMs }) => formatMs(medianMs)), value: ({ medianMs }) => medianMs },
  { head: "GFLOP/s", title: "floating-point operations a second", text: ifTimed(({ gflops }) => formatRate(gflops)), value: ({ gflops }) => gflops },
  { head: "GB/s", title: "bytes of inputs and outputs a second", text: ifTimed(({ gbps }) => formatRate(gbps)), value: ({ gbps }) => gbps },
  { head: "FLOP/B", title: "arithmetic intensity", text: ({ intensity }) => formatRate(intensity), value: ({ intensity }) => intensity },
  { head: "of roof", title: "part of what the measured roofline allows; above 100 % where data came from a cache", text: ifTimed(({ roofShare }) => formatPercent(roofShare)), value: ({ roofShare }) => roofShare },
  { head: "bound", title: "the largest of the times at the roofs: of arithmetic, of memory, of empty dispatches", text: ({ bound }) => bound, value: ({ bound }) => ["compute", "memory", "dispatch"].indexOf(bound) },
  { head: "to gain", title: "milliseconds beyond the roofs: what could be saved at most", text: ifTimed(({ headroomMs }) => formatMs(headroomMs)), value: ({ headroomMs }) => headroomMs },
  { head: "MiB", title: "bytes of inputs and outputs of all calls", text: ({ bytes }) => formatRate(bytes / 2 ** 20), value: ({ bytes }) => bytes },
];

const mostRows = 20;
const mostChoices = 8;
const scopeLevels = 4;
/** Scopes that take less are left out of the terminal's table. */
const leastShare = 0.01;

/** A profile for a terminal. */
export function profileTable(profile: SavedProfile): string {
  const { kernels, choices, scopes, notes } = profile;
  const shown = scopes.filter(({ scope, share }) => scope.split("/").length <= scopeLevels && (share >= leastShare || profile.total.ms === 0));
  const parts = [
    facts(profile).join("\n"),
    ...(notes.length > 0 ? [notes.map((note) => `Note: ${note}.`).join("\n")] : []),
    measuresTable(["kernel", "variant"], kernels.slice(0, mostRows).map((kernel) => [[kernel.kernel, variantsInShort(kernel)], kernel])),
    ...(kernels.length > mostRows ? [`and ${kernels.length - mostRows} more: --json, --html`] : []),
    ...(choices.length > 0 ? [choiceTable(choices.slice(0, mostChoices))] : []),
    measuresTable(["scope"], shown.map((scope) => [[indented(scope)], scope])),
    findings(profile).map(({ fact, advice }) => `- ${fact}\n  ${advice}`).join("\n"),
  ];
  return parts.filter(Boolean).join("\n\n");
}

/** What ops chose between kernels. */
function choiceTable(choices: readonly ChoiceMeasures[]): string {
  return measuresTable(["op", "shape class", "chosen"], choices.map(({ choice: { op, shapeClass, variant }, ...measures }) => [[op, shapeClass, variant], measures]));
}

/** What a profile says in numbers, a line each. */
function facts({ work, device, wall, host, gpu, total, roofs, memory }: SavedProfile): string[] {
  const timed = total.ms > 0;
  return [
    `${work.what}: ${work.title}; ${work.model}, ${Object.entries(work.settings).map(([name, value]) => `${name} ${value}`).join(", ")}`,
    `on ${device.adapter} (${device.driver})`,
    `${formatMs(wall.againMs)} ms undisturbed; ${formatMs(wall.firstMs)} ms the first time, with ${wall.pipelines} kernels to compile; ${formatMs(wall.profiledMs)} ms profiled`,
    ...(timed ? [`the device: ${formatMs(gpu.busyMs)} ms in dispatches, ${formatMs(gpu.gapMs)} between them, ${formatMs(gpu.idleMs)} waiting for the host`] : []),
    `the host: ${host.dispatches} dispatches encoded in ${formatMs(host.encodeMs)} ms, ${formatRate(host.medianDispatchUs)} us each at the median, ${host.submissions} submissions`,
    `roofs: ${formatRate(roofs.copyGBps)} GB/s copied, ${formatRate(roofs.fmaGflops)} GFLOP/s in registers, ${formatRate(roofs.matmulGflops)} in a matmul${timed ? `, ${formatMs(roofs.emptyDispatchMs)} ms an empty dispatch` : ""}`,
    `memory: ${formatMib(memory.peak.bytes)} live at most, ${formatMib(memory.peakHeldBytes)} held`,
  ];
}

/** The variant that took longest, and how many others there are. */
function variantsInShort({ variants }: KernelMeasures): string {
  const first = shortened(shortVariant(variants[0].variant), longestVariant);
  return variants.length > 1 ? `${first} +${variants.length - 1}` : first;
}

/** Element types, numbers and what is switched on: what a reader tells variants apart by. */
export function shortVariant(variant: string): string {
  return variant.split(" ").filter((part) => !part.endsWith("=false")).map((part) => part.replace(/=true$/, "")).join(" ");
}

function indented({ scope }: ScopeMeasures): string {
  const parts = scope.split("/");
  return `${"  ".repeat(parts.length - 1)}${parts[parts.length - 1] || "no scope"}`;
}

const longestName = 40;
const longestVariant = 28;

function measuresTable(heads: readonly string[], rows: readonly (readonly [names: readonly string[], measures: Measures])[]): string {
  const cells = rows.map(([names, measures]) => [...names.map((name) => shortened(name, longestName)), ...measureColumns.map(({ text }) => text(measures))]);
  return textTable([...heads, ...measureColumns.map(({ head }) => head)], cells, heads.length);
}

function shortened(name: string, longest: number): string {
  return name.length > longest ? `${name.slice(0, longest - 1)}…` : name;
}
