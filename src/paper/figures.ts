import type { MetricName } from "../eval/row.ts";
import { type GroupSummary, summariseAll } from "../eval/summary.ts";
import { type Mode, defaultSettings } from "../grounding/options.ts";
import type { Html } from "../report/html.ts";
import { type Series, barChart, lineChart } from "../report/plot.ts";
import type { SweptSettings } from "../sweep/grid.ts";
import { shownMetrics, signed } from "./claims.ts";
import { type SweptRun, rowsWhere, valuesOf } from "./measured.ts";
import { pairedDifference } from "./paired.ts";
import { samplingNames } from "./published.ts";

/** A figure of curves or bars: its charts, and what they come to in sentences. */
export interface ChartFigure {
  readonly charts: readonly Html[];
  readonly findings: readonly string[];
}

/** The metrics of figures 4 and 5, in the order of their charts. */
const charted = ["miou", "cnr", "aucRoc", "top1"] as const satisfies readonly MetricName[];

const nameOf = (metric: MetricName) => shownMetrics[metric] as string;

/** Summaries of settings by a number on the x axis. */
interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly summary: GroupSummary }[];
}

function lineCharts(lines: readonly Line[], x: string): Html[] {
  return charted.map((metric) => lineChart({ title: nameOf(metric), x: { label: x, whole: true }, y: { label: nameOf(metric) }, series: lines.map((line) => seriesOf(line, metric)) }));
}

function seriesOf({ name, points }: Line, metric: MetricName): Series {
  const values = points.map(({ summary }) => summary.metrics[metric]);
  return { name, x: points.map(({ x }) => x), y: values.map((of) => of?.mean), low: values.map((of) => of?.low), high: values.map((of) => of?.high) };
}

function lineOver(run: SweptRun, name: string, wanted: Partial<SweptSettings>, option: "steps" | "lastSteps"): Line {
  const values = valuesOf(run, option).sort((a, b) => a - b);
  return { name, points: values.map((x) => ({ x, summary: summariseAll(rowsWhere(run, { ...wanted, [option]: x })) })) };
}

/** The means of a line where there are any. */
function meansOf({ points }: Line, metric: MetricName): { x: number; mean: number }[] {
  return points.flatMap(({ x, summary }) => {
    const estimate = summary.metrics[metric];
    return estimate ? [{ x, mean: estimate.mean }] : [];
  });
}

/** The first of the greatest means; undefined of none. */
function greatest(values: readonly { x: number; mean: number }[]) {
  return values.reduce<(typeof values)[number] | undefined>((most, each) => (most && most.mean >= each.mean ? most : each), undefined);
}

// --- figure 4 --------------------------------------------------------------------------------------------------------

/** How much of the greatest contrast counts as all of it. */
const SATURATED = 0.98;

/** Figure 4: metrics by the number of timesteps, a line a mode, without merging. */
export function timestepFigure(run: SweptRun): ChartFigure {
  const modes = valuesOf(run, "mode");
  const lines = modes.map((mode) => lineOver(run, `${samplingNames[mode]}${mode === "cfg" ? " (P_txt alone)" : ""}`, { mode, tokens: "lexical", merge: "none" }, "steps"));
  const gt = lines[modes.indexOf("gt")];
  return { charts: lineCharts(lines, "timesteps T"), findings: [...(gt ? [saturation(gt)] : []), ...firstStepFindings(run, modes)] };
}

function saturation(line: Line): string {
  const values = meansOf(line, "cnr");
  const most = greatest(values);
  const enough = most && values.find(({ mean }) => mean >= SATURATED * most.mean);
  if (!enough || most.mean <= 0) return "GT + CFG has no positive contrast at any number of timesteps; the paper sees no significant gain after about 5.";
  return `GT + CFG has ${SATURATED * 100} % of its greatest CNR (${most.mean.toFixed(3)}) from ${enough.x} timestep${enough.x === 1 ? "" : "s"} on; the paper sees no significant gain after about 5.`;
}

/** With one timestep GT-1 starts from the film as GT does; the paper calls them the same there. */
function firstStepFindings(run: SweptRun, modes: readonly Mode[]): string[] {
  const counts = valuesOf(run, "steps").sort((a, b) => a - b);
  if (!modes.includes("gt1") || !modes.includes("gt")) return [];
  return [...new Set([counts[0], counts[counts.length - 1]])].flatMap((steps) => {
    const of = (mode: Mode) => rowsWhere(run, { mode, steps, tokens: "lexical", merge: "none" });
    const difference = pairedDifference(of("gt"), of("gt1"))?.all.metrics.cnr;
    return difference ? [`At T = ${steps}, GT + CFG less GT-1 + CFG: CNR ${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]${steps === 1 ? "; the paper calls the two the same at one timestep, though GT + CFG noises the film to the schedule's first timestep there and GT-1 + CFG to the last of training" : ""}.`] : [];
  });
}

// --- figure 5 --------------------------------------------------------------------------------------------------------

/** Figure 5: metrics by how many of the last timesteps make the map, with BBM and without. */
export function lastStepsFigure(run: SweptRun): ChartFigure {
  const merges = valuesOf(run, "merge");
  const lines = merges.map((merge) => lineOver(run, merge === "none" ? "no merging" : `BBM (${merge})`, { mode: "gt", tokens: "lexical", merge }, "lastSteps"));
  const plain = lines[Math.max(0, merges.indexOf("none"))];
  const findings = charted.flatMap((metric) => {
    const values = meansOf(plain, metric);
    const best = greatest(values);
    if (!best) return [];
    const range = best.mean - Math.min(...values.map(({ mean }) => mean));
    return `${nameOf(metric)} is greatest with the last ${best.x} of ${plain.points.at(-1)?.x} timesteps; least and greatest lie ${range.toFixed(3)} apart.`;
  });
  return { charts: lineCharts(lines, "last n timesteps"), findings };
}

// --- figure 6 --------------------------------------------------------------------------------------------------------

/** Figure 6: layer sets, and models with LoRA by rank. @param layers of the model, in module order */
export function layerFigure(run: SweptRun, layers: readonly { readonly side: number }[], lora: ReadonlyMap<number, SweptRun>): ChartFigure {
  const sets = valuesOf(run, "layers");
  const names = sets.map((set) => layerSetName(set, layers));
  const merges = valuesOf(run, "merge");
  const summaries = merges.map((merge) => sets.map((set) => summariseAll(rowsWhere(run, { mode: "gt", tokens: "lexical", merge, layers: set }))));
  const charts = (["cnr", "miou"] as const).map((metric) =>
    barChart({
      title: `${nameOf(metric)} by layers`, y: { label: nameOf(metric) }, groups: names,
      series: merges.map((merge, m) => ({ name: merge === "none" ? "no merging" : `BBM (${merge})`, bars: summaries[m].map(({ metrics }) => barOf(metrics[metric])) })),
    }),
  );
  return { charts: [...charts, ...loraCharts(lora, layers)], findings: layerFindings(run, sets, names) };
}

function barOf(estimate: GroupSummary["metrics"]["cnr"]) {
  return estimate ? { value: estimate.mean, low: estimate.low, high: estimate.high } : undefined;
}

/** All layers, those of one resolution, or a single one. */
function layerSetName(set: SweptSettings["layers"], layers: readonly { readonly side: number }[]): string {
  if (set === defaultSettings.layers) return "all layers";
  const numbers = set as readonly number[];
  const { side } = layers[numbers[0]];
  const isResolution = numbers.length > 1 || layers.filter((layer) => layer.side === side).length === 1;
  return isResolution ? `${side} × ${side}${numbers.length > 1 ? ` (${numbers.length} layers)` : ` (layer ${numbers[0]})`}` : `layer ${numbers[0]}, ${side} × ${side}`;
}

/** Each resolution against all layers: the paper needs no choice. */
function layerFindings(run: SweptRun, sets: readonly SweptSettings["layers"][], names: readonly string[]): string[] {
  const rows = (layers: SweptSettings["layers"]) => rowsWhere(run, { mode: "gt", tokens: "lexical", merge: "none", layers });
  return sets.flatMap((set, i) => {
    if (set === "all") return [];
    const difference = pairedDifference(rows(set), rows("all"))?.all.metrics.cnr;
    if (!difference || difference.low <= 0) return [];
    return [`${names[i]} alone has more contrast than all layers: CNR ${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]; in the paper CXR-BERT gains nothing from a choice of layers.`];
  });
}

function loraCharts(lora: ReadonlyMap<number, SweptRun>, layers: readonly { readonly side: number }[]): Html[] {
  if (lora.size === 0) return [];
  const ranks = [...lora.keys()].sort((a, b) => a - b);
  const sets = [...new Map([...lora.values()].flatMap((run) => valuesOf(run, "layers")).map((set) => [String(set), set])).values()];
  const lines = sets.map((set): Line => ({
    name: layerSetName(set, layers),
    points: ranks.map((x) => ({ x, summary: summariseAll(rowsWhere(lora.get(x) as SweptRun, { mode: "gt", tokens: "lexical", merge: "none", layers: set })) })),
  }));
  return [lineChart({ title: "CNR by rank of LoRA", x: { label: "rank", scale: "log", whole: true }, y: { label: "CNR" }, series: lines.map((line) => seriesOf(line, "cnr")) })];
}

// --- controls --------------------------------------------------------------------------------------------------------

/** The controls as bars. */
export function controlCharts(controls: readonly { readonly name: string; readonly summary: GroupSummary }[]): Html[] {
  return (["cnr", "miou"] as const).map((metric) =>
    barChart({ title: `Controls: ${nameOf(metric)}`, y: { label: nameOf(metric) }, groups: controls.map(({ name }) => name), series: [{ name: nameOf(metric), bars: controls.map(({ summary }) => barOf(summary.metrics[metric])) }] }),
  );
}
