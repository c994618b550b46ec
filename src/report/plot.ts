import { type ScaleContinuousNumeric, scaleBand, scaleLinear, scaleLog } from "d3-scale";
import { area, line } from "d3-shape";
import { type Html, html } from "./html.ts";

// Charts as SVG in the page: no script, and colours of the reader's light or dark setting (`plotStyle`).

/** An axis of numbers. */
export interface Axis {
  readonly label: string;
  /** Default linear. Of a logarithmic axis only values above 0 are drawn. */
  readonly scale?: "linear" | "log";
  /** Ends of the axis. Default: those of the values. */
  readonly from?: number;
  readonly to?: number;
  /** Whether values are whole: no ticks between. */
  readonly whole?: boolean;
}

/** A value that may be missing: one that is not finite is a gap too. */
type Value = number | undefined;

/** Values over x. */
export interface Series {
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly Value[];
  /** Ends of a band around the values. */
  readonly low?: readonly Value[];
  readonly high?: readonly Value[];
  /** Default: a line, with points where there are few. */
  readonly mark?: "line" | "faint line" | "points";
  /** What is fitted to the values: a line in their colour. */
  readonly law?: { readonly x: readonly number[]; readonly y: readonly Value[] };
}

/** A chart of values over x. */
export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

/** A bar, and the ends of its error whisker. */
export interface Bar {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

/** A chart of groups of bars. */
export interface BarChart {
  readonly title: string;
  readonly y: Axis;
  readonly groups: readonly string[];
  /** One bar a group each. */
  readonly series: readonly { readonly name: string; readonly bars: readonly (Bar | undefined)[] }[];
}

const [width, height] = [640, 300];
const [left, right, top, bottom] = [62, 14, 10, 44];
/** About how many ticks an axis has. */
const [horizontalCount, verticalCount] = [7, 5];
/** Colours that `plotStyle` has; more series take them again. */
const colours = 6;
/** Series with more points have no marks on them. */
const markedPoints = 40;

/** Lines, bands and points. */
export function lineChart({ title, x, y, series }: LineChart): Html {
  const xScale = axisScale(x, series.flatMap((of) => [...of.x, ...(of.law?.x ?? [])]), [left, width - right]);
  const yScale = axisScale(y, series.flatMap((of) => [...of.y, ...(of.low ?? []), ...(of.high ?? []), ...(of.law?.y ?? [])]), [height - bottom, top]);
  if (y.scale !== "log") yScale.nice(verticalCount); // a decade more would be much
  const marks = series.map((of, i) => html`<g class="s${i % colours}">${seriesMarks(of, xScale, yScale)}</g>`);
  return figure(title, series.map(({ name }) => name), html`${horizontalTicks(x, xScale)}${verticalTicks(y, yScale)}${marks}`);
}

/** Bars side by side in groups, each with its whisker. */
export function barChart({ title, y, groups, series }: BarChart): Html {
  const ends = series.flatMap(({ bars }) => bars.flatMap((bar) => (bar ? [0, bar.value, bar.low, bar.high] : [])));
  const yScale = axisScale(y, ends, [height - bottom, top]).nice(verticalCount);
  const places = scaleBand(groups.map((_, i) => i), [left, width - right]).paddingInner(0.25).paddingOuter(0.15);
  const within = scaleBand(series.map((_, i) => i), [0, places.bandwidth()]).paddingInner(0.08);
  const marks = series.map(({ name, bars }, i) => html`<g class="s${i % colours}">${bars.map((bar, group) => bar && barMark(bar, {
    label: `${name}, ${groups[group]}`, x: (places(group) ?? 0) + (within(i) ?? 0), width: within.bandwidth(), yScale,
  }))}</g>`);
  const areTurned = groups.some((name) => 7 * name.length > places.step());
  const labels = groups.map((name, i) => groupLabel(name, (places(i) ?? 0) + places.bandwidth() / 2, areTurned));
  return figure(title, series.map(({ name }) => name), html`${verticalTicks(y, yScale)}${marks}${labels}`);
}

// --- marks -----------------------------------------------------------------------------------------------------------

type NumberScale = ScaleContinuousNumeric<number, number>;

function axisScale({ scale = "linear", from, to }: Axis, values: readonly Value[], range: [number, number]): NumberScale {
  const isDrawn = (value: Value): value is number => Number.isFinite(value) && (scale === "linear" || (value as number) > 0);
  let [low, high] = [from ?? Infinity, to ?? -Infinity];
  for (const value of values) {
    if (!isDrawn(value)) continue;
    if (from === undefined) low = Math.min(low, value);
    if (to === undefined) high = Math.max(high, value);
  }
  if (!Number.isFinite(low) || !Number.isFinite(high)) [low, high] = [1, 2];
  if (low === high) [low, high] = scale === "log" ? [low / 2, high * 2] : [low - Math.abs(low || 1) / 10, high + Math.abs(high || 1) / 10];
  return scale === "log" ? scaleLog([low, high], range) : scaleLinear([low, high], range);
}

function seriesMarks({ name, x, y, low, high, mark = "line", law }: Series, xScale: NumberScale, yScale: NumberScale): Html {
  const at = (values: readonly Value[]) => (_: number, i: number) => yScale(values[i] as number);
  const isDrawn = (...of: (readonly Value[])[]) => (_: number, i: number) => of.every((values) => Number.isFinite(values[i]) && Number.isFinite(yScale(values[i] as number)));
  const band = low && high && (area<number>(xScale, at(low), at(high)).defined(isDrawn(low, high)).digits(1)(x) ?? undefined);
  const lineThrough = (places: readonly number[], values: readonly Value[]) => line<number>(xScale, at(values)).defined(isDrawn(values)).digits(1)(places) ?? undefined;
  const path = mark === "points" ? undefined : lineThrough(x, y);
  const lawPath = law && lineThrough(law.x, law.y);
  const isMarked = mark === "points" || (mark === "line" && x.length <= markedPoints);
  const points = isMarked && x.map((value, i) => isDrawn(y)(value, i) && html`<circle cx="${round(xScale(value))}" cy="${round(yScale(y[i] as number))}" r="2.6"><title>${name}: ${shown(y[i] as number)} at ${shown(value)}</title></circle>`);
  return html`${band && html`<path class="band" d="${band}"/>`}${path && html`<path class="${mark === "faint line" ? "line faint" : "line"}" d="${path}"/>`}${lawPath && html`<path class="law" d="${lawPath}"/>`}${points}`;
}

function barMark({ value, low, high }: Bar, { label, x, width: barWidth, yScale }: { label: string; x: number; width: number; yScale: NumberScale }): Html {
  const [y, zero] = [yScale(value), yScale(Math.max(0, yScale.domain()[0]))];
  const hasWhisker = low !== undefined && high !== undefined;
  const [middle, arm] = [x + barWidth / 2, Math.min(5, barWidth / 3)];
  const whisker = hasWhisker && `M${round(middle)} ${round(yScale(low))}V${round(yScale(high))}M${round(middle - arm)} ${round(yScale(low))}h${2 * arm}M${round(middle - arm)} ${round(yScale(high))}h${2 * arm}`;
  const told = `${label}: ${shown(value)}${hasWhisker ? ` (${shown(low)} to ${shown(high)})` : ""}`;
  return html`<g><title>${told}</title><rect class="bar" x="${round(x)}" y="${round(Math.min(y, zero))}" width="${round(barWidth)}" height="${round(Math.abs(zero - y))}"/>${whisker && html`<path class="whisker" d="${whisker}"/>`}</g>`;
}

// --- axes and frame --------------------------------------------------------------------------------------------------

function horizontalTicks(axis: Axis, scale: NumberScale): Html {
  const base = height - bottom;
  const marks = ticks(axis, scale, horizontalCount).map(([value, text]) => html`<path class="tick" d="M${round(scale(value))} ${base}v4"/><text x="${round(scale(value))}" y="${base + 17}" text-anchor="middle">${text}</text>`);
  return html`<path class="tick" d="M${left} ${base}H${width - right}"/>${marks}<text class="label" x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">${axis.label}</text>`;
}

function verticalTicks(axis: Axis, scale: NumberScale): Html {
  const marks = ticks(axis, scale, verticalCount).map(([value, text]) => html`<path class="grid" d="M${left} ${round(scale(value))}H${width - right}"/><text x="${left - 7}" y="${round(scale(value) + 4)}" text-anchor="end">${text}</text>`);
  const middle = (height - bottom + top) / 2;
  return html`${marks}<text class="label" x="14" y="${middle}" text-anchor="middle" transform="rotate(-90 14 ${middle})">${axis.label}</text>`;
}

/** Values of ticks that have a text, and these texts. */
function ticks({ whole, scale: kind }: Axis, scale: NumberScale, count: number): [value: number, text: string][] {
  const [from, to] = scale.domain();
  const wanted = whole ? Math.min(count, Math.max(1, to - from)) : count;
  const isTiny = Math.max(Math.abs(from), Math.abs(to)) < 1e-3;
  const format = scale.tickFormat(wanted, isTiny ? "~e" : whole ? "," : kind === "log" ? ",~g" : undefined);
  return scale.ticks(wanted).map((value): [number, string] => [value, value === 0 ? "0" : format(value)]).filter(([, text]) => text !== "");
}

/** The name of a group, turned where names are wider than their places. */
function groupLabel(name: string, x: number, isTurned: boolean): Html {
  const y = height - bottom + (isTurned ? 12 : 17);
  const turn = isTurned && html` transform="rotate(-24 ${round(x)} ${y})"`;
  return html`<text x="${round(x)}" y="${y}" text-anchor="${isTurned ? "end" : "middle"}"${turn}>${name}</text>`;
}

function figure(title: string, names: readonly string[], content: Html): Html {
  const legend = names.length > 1 && html`<div class="plot-legend">${names.map((name, i) => html`<span class="s${i % colours}">${name}</span>`)}</div>`;
  return html`<figure class="plot"><figcaption>${title}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">${content}</svg>${legend}</figure>`;
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}

/** A number for people. */
function shown(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

/** Style of the charts, for a page whose root has `color-scheme: light dark`. The colours are told apart without red and green. */
export const plotStyle = `
.plot { margin: 0; --ink: light-dark(#3c4650, #b6c0ca); --grid: light-dark(#e3e7ec, #2b323b); }
.plot figcaption { font-weight: 600; margin-bottom: 4px; }
.plot svg { display: block; overflow: visible; width: 100%; height: auto; font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.plot text { fill: var(--ink); }
.plot .grid { stroke: var(--grid); fill: none; }
.plot .tick { stroke: var(--ink); fill: none; }
.plot .s0 { --series: light-dark(#0072b2, #5ab4ef); }
.plot .s1 { --series: light-dark(#d55e00, #ff9a4d); }
.plot .s2 { --series: light-dark(#00805c, #35c99c); }
.plot .s3 { --series: light-dark(#a8478a, #e79acb); }
.plot .s4 { --series: light-dark(#8a6d00, #e8c547); }
.plot .s5 { --series: light-dark(#4b5a6b, #9fb2c6); }
.plot .line { fill: none; stroke: var(--series); stroke-width: 2; stroke-linejoin: round; }
.plot .law { fill: none; stroke: var(--series); stroke-width: 1.2; }
.plot .faint { stroke-width: 1; opacity: 0.45; }
.plot .band { fill: var(--series); opacity: 0.2; }
.plot circle, .plot .bar { fill: var(--series); }
.plot .whisker { fill: none; stroke: var(--ink); stroke-width: 1.4; }
.plot-legend { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: 0.87rem; padding-left: ${(100 * left) / width}%; }
.plot-legend span::before { content: ""; display: inline-block; width: 14px; height: 3px; margin-right: 6px; vertical-align: middle; background: var(--series); }
`;
