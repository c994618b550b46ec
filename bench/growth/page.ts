import { type Html, html } from "../../src/report/html.ts";
import { page, panel } from "../../src/report/page.ts";
import { type Series, lineChart, plotStyle } from "../../src/report/plot.ts";
import { describeFit, predict } from "./fit.ts";
import type { GrowthFile, MeasuredCurve, MeasuredSeries } from "./measure.ts";
import { tableHeads, tableRows } from "./table.ts";

/** One self-contained page: a chart and a table a curve. */
export function growthPage(file: GrowthFile): string {
  const { device, driver, version, commit, date, node, model, warmUps, rounds, curves } = file;
  const body = html`<header>
<h1>How cost grows</h1>
<div class="quiet">${model} on ${device}, ${driver}</div>
<div class="quiet">attnscope ${version}, commit ${commit}, Node ${node}, ${date.slice(0, 10)}; ${warmUps} warm-ups, median of ${rounds} rounds in turns, bands from the least to the most; lines: the laws beside the names</div>
</header>
<main class="growth">${curves.map(curvePanel)}</main>`;
  return page("how cost grows", body, plotStyle + growthStyle);
}

function curvePanel(curve: MeasuredCurve): Html {
  const { title, note } = curve;
  return panel(title, html`<p class="note">${note}</p>`, curveChart(curve), html`<details><summary>Numbers</summary>${numbers(curve)}</details>`);
}

function curveChart({ xLabel, xScale, yScale, unit, perUnit, series }: MeasuredCurve): Html {
  const isPerUnit = perUnit === "chart";
  const drawn = series.map((of) => chartSeries(of, { unit, xScale, isPerUnit }));
  const title = isPerUnit ? `Milliseconds per ${unit}` : "Milliseconds";
  return lineChart({
    // A chart names its series where there are several.
    title: drawn.length === 1 ? `${title} · ${drawn[0].name}` : title,
    x: { label: xLabel, scale: xScale, whole: true },
    y: { label: isPerUnit ? `ms per ${unit}` : "ms", scale: yScale, from: yScale === "linear" ? 0 : undefined },
    series: drawn,
  });
}

/** Values of a law's curve. */
const samples = 80;

function chartSeries({ name, points, fit }: MeasuredSeries, { unit, xScale, isPerUnit }: Pick<MeasuredCurve, "unit" | "xScale"> & { isPerUnit: boolean }): Series {
  const y = (ms: number, x: number) => (isPerUnit ? ms / x : ms);
  const each = (of: "medianMs" | "leastMs" | "mostMs") => points.map((point) => y(point[of], point.x));
  const [from, to] = [points[0].x, points[points.length - 1].x];
  const at = (share: number) => (xScale === "log" ? from * (to / from) ** share : from + (to - from) * share);
  const lawX = Array.from({ length: samples }, (_, i) => at(i / (samples - 1)));
  return {
    name: `${name}: ${describeFit(fit, unit)}`,
    x: points.map(({ x }) => x),
    y: each("medianMs"),
    low: each("leastMs"),
    high: each("mostMs"),
    mark: "points",
    law: { x: lawX, y: lawX.map((x) => y(predict(fit, x), x)) },
  };
}

function numbers(curve: MeasuredCurve): Html {
  const cell = (text: string, column: number, kind: "td" | "th") => (kind === "th" ? html`<th${column > 0 && html` class="number"`}>${text}</th>` : html`<td${column > 0 && html` class="number"`}>${text}</td>`);
  return html`<table><thead><tr>${tableHeads(curve).map((text, i) => cell(text, i, "th"))}</tr></thead><tbody>${tableRows(curve).map((row) => html`<tr>${row.map((text, i) => cell(text, i, "td"))}</tr>`)}</tbody></table>`;
}

const growthStyle = `
.growth { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 540px), 1fr)); gap: 18px; padding-top: 18px; padding-bottom: 40px; }
.growth .panel { margin: 0; }
.growth .plot { margin-top: 12px; }
`;
