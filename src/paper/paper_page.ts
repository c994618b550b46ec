import type { Estimate, GroupSummary } from "../eval/summary.ts";
import { Html, html } from "../report/html.ts";
import { type Row, page, panel, section } from "../report/page.ts";
import { plotStyle } from "../report/plot.ts";
import { tableScript, tableStyle } from "../report/sortable_tables.ts";
import { type JudgedClaim, type Verdict, claimSentence, shownMetrics, signed, verdictOf } from "./claims.ts";
import { type ChartFigure, controlCharts } from "./figures.ts";
import { type MethodMaps, type SamplePictures, type WordMaps, methodFigure, pictureScript, pictureStyle, sampleTable, wordFigure } from "./pictures.ts";
import { figures } from "./published.ts";
import type { Measured, PaperTable } from "./tables.ts";

/** A control, and by how much the phrase's own map differs from it. */
export interface Control {
  readonly name: string;
  readonly summary: GroupSummary;
  /** The phrase's map less the control, over the same samples; absent for the phrase itself. */
  readonly lead?: GroupSummary;
}

/** All that the page shows. */
export interface PaperReport {
  /** What was evaluated, in a line. */
  readonly subtitle: string;
  /** What the reader must know. */
  readonly notes: readonly string[];
  readonly claims: readonly JudgedClaim[];
  readonly controls: readonly Control[];
  readonly tables: readonly PaperTable[];
  readonly charts: { readonly timesteps: ChartFigure; readonly lastSteps: ChartFigure; readonly layers: ChartFigure };
  readonly words: readonly WordMaps[];
  readonly methods: readonly MethodMaps[];
  readonly samples: readonly SamplePictures[];
  readonly facts: { readonly settings: readonly Row[]; readonly work: readonly Row[] };
  readonly version: string;
}

/** One self-contained page: the paper's tables and figures, computed, beside its own numbers. */
export function paperPage(report: PaperReport): string {
  const { subtitle, notes, claims, controls, tables, charts, words, methods, samples, facts, version } = report;
  const controlled = (figure: 2 | 3 | 4 | 5 | 6, content: Html, findings: readonly string[] = []) => figurePanel(figure, content, findings, controls);
  const body = html`<header>
<h1>Generate to Ground: every table and figure, computed</h1>
<div class="quiet">${subtitle}</div>
${notes.map((note) => html`<div class="banner">${note}</div>`)}
</header>
<main>
${panel("Where this agrees with the paper, and where not", verdictCounts(claims), claimTable(claims), sentences(claims))}
${panel("Controls", html`<p class="note quiet">What a map is worth shows beside maps that should be worse. Below each mean, by how much the phrase's own map is better on the same samples (paired).</p>`, controlTable(controls))}
${tables.map(paperTable)}
${controlled(2, wordFigure(words))}
${controlled(3, methodFigure(methods))}
${controlled(4, plots(charts.timesteps.charts), charts.timesteps.findings)}
${controlled(5, plots(charts.lastSteps.charts), charts.lastSteps.findings)}
${controlled(6, plots(charts.layers.charts), charts.layers.findings)}
${panel(`All ${samples.length} samples, failures first`, html`<p class="note quiet">White: the boxes. Magenta: the mask. Maps from left: merged (BBM), before merging, P_txt alone.</p>`, sampleTable(samples))}
<div class="about">${section("Settings", facts.settings)}${section("Work", facts.work)}</div>
</main>
<footer class="quiet">attnscope ${version}. Intervals hold 95 % of 1000 bootstrap resamples of films. Maps are not a diagnosis.</footer>
<script>${new Html(tableScript + pictureScript)}</script>`;
  return page("Generate to Ground", body, tableStyle + plotStyle + pictureStyle + paperStyle);
}

function figurePanel(figure: keyof typeof figures, content: Html, findings: readonly string[], controls: readonly Control[]): Html {
  const { title, where, says } = figures[figure];
  return panel(
    `Figure ${figure}: ${title}`,
    html`<p class="note quiet">The paper (${where}): ${says}</p>`,
    findings.length > 0 && html`<ul class="findings">${findings.map((finding) => html`<li>${finding}</li>`)}</ul>`,
    content,
    html`<details open><summary>Controls of the same run</summary>${plots(controlCharts(controls))}</details>`,
  );
}

function plots(charts: readonly Html[]): Html {
  return html`<div class="plots">${charts}</div>`;
}

// --- claims ----------------------------------------------------------------------------------------------------------

const verdictNames: Record<Verdict, string> = { agrees: "agrees", disagrees: "disagrees", open: "open" };
const verdictClasses: Record<Verdict, string> = { agrees: "better", disagrees: "worse", open: "noise" };

function verdictCounts(claims: readonly JudgedClaim[]): Html {
  const count = (verdict: Verdict) => claims.filter((claim) => claim.verdict === verdict).length;
  return html`<p>Of ${claims.length} orderings of the paper the data agree with <b class="better">${count("agrees")}</b>, disagree with <b class="worse">${count("disagrees")}</b>, and leave <b>${count("open")}</b> open (the interval of the difference holds 0).</p>`;
}

function claimTable(claims: readonly JudgedClaim[]): Html {
  const heads = ["first", "second", "metric", "first here", "second here", "difference", "paper", "verdict"];
  const rows = claims.map(({ first, second, metric, here, difference, paper, where, verdict }) => html`<tr><td>${first.name}</td><td>${second.name}</td><td>${shownMetrics[metric]}</td><td class="number">${here.first.toFixed(3)}</td><td class="number">${here.second.toFixed(3)}</td><td class="number" data-value="${difference.mean}">${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]</td><td class="number" data-value="${paper ? paper.first - paper.second : ""}" title="${where}">${paper ? `${signed(paper.first - paper.second)}` : "no number"}</td><td class="${verdictClasses[verdict]}">${verdictNames[verdict]}</td></tr>`);
  return html`<div class="wide"><table class="measures"><thead><tr>${heads.map((head, i) => html`<th class="${i > 2 && i < 7 && "number"}">${head}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** What disagrees in words, then the rest. */
function sentences(claims: readonly JudgedClaim[]): Html {
  const disagreeing = claims.filter(({ verdict }) => verdict === "disagrees");
  const others = claims.filter(({ verdict }) => verdict !== "disagrees");
  const list = (of: readonly JudgedClaim[]) => html`<ul class="findings">${of.map((claim) => html`<li>${claimSentence(claim)}</li>`)}</ul>`;
  return html`${disagreeing.length > 0 && html`<h3>Where these data disagree with the paper</h3>${list(disagreeing)}`}<details><summary>The other orderings in words</summary>${list(others)}</details>`;
}

// --- tables ----------------------------------------------------------------------------------------------------------

const controlMetrics = ["miou", "top1", "aucRoc", "cnr"] as const;

function controlTable(controls: readonly Control[]): Html {
  const heads = controlMetrics.map((metric) => html`<th class="number">${shownMetrics[metric]}</th>`);
  const rows = controls.map((control) => html`<tr><td>${control.name}</td><td class="number">${control.summary.rows}</td>${controlMetrics.map((metric) => controlCell(control, metric))}</tr>`);
  return html`<div class="wide"><table class="measures"><thead><tr><th>map</th><th class="number">samples</th>${heads}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function controlCell({ summary, lead }: Control, metric: (typeof controlMetrics)[number]): Html {
  const own = summary.metrics[metric];
  const difference = lead?.metrics[metric] ?? undefined;
  if (!own) return html`<td></td>`;
  const verdict = difference && verdictClasses[verdictOf(difference, 1)];
  return html`<td class="number" data-value="${own.mean}">${withInterval(own)}${difference && html`<br><span class="${verdict}">${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]</span>`}</td>`;
}

function paperTable({ title, where, keys, columns, rows }: PaperTable): Html {
  const heads = columns.flatMap((name) => [html`<th class="number">${name}</th>`, html`<th class="number">paper</th>`]);
  const lines = rows.map((row) => html`<tr>${row.keys.map((key) => html`<td>${key}</td>`)}<td class="number">${row.samples || ""}</td>${row.cells.map(({ here, paper }) => [measuredCell(here), html`<td class="number quiet" data-value="${paper?.[0] ?? ""}">${paper && `${paper[0]}${paper[1] === undefined ? "" : ` ± ${paper[1]}`}`}</td>`])}</tr>`);
  return panel(title, html`<p class="note quiet">Paper: ${where}.</p>`, html`<div class="wide tall"><table class="measures"><thead><tr>${keys.map((key) => html`<th>${key}</th>`)}<th class="number">samples</th>${heads}</tr></thead><tbody>${lines}</tbody></table></div>`);
}

function measuredCell(here: Measured): Html {
  if ("missing" in here) return html`<td class="quiet missing" data-value="">${here.missing}</td>`;
  return html`<td class="number" data-value="${here.mean}">${withInterval(here)}</td>`;
}

function withInterval({ mean, low, high }: Estimate): Html {
  return html`${mean.toFixed(3)}${low !== high && html` <span class="interval">[${low.toFixed(3)}, ${high.toFixed(3)}]</span>`}`;
}

const paperStyle = `
h3 { font-size: 0.95rem; margin: 16px 0 8px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 18px; margin: 12px 0; }
.panel > .note + .findings { margin-top: 10px; }
.measures td { overflow-wrap: normal; }
.interval { color: var(--quiet); font-size: 0.92em; }
.missing { text-align: right; font-style: italic; font-size: 0.92em; }
.tall { max-height: 640px; overflow-y: auto; }
.tall thead th { position: sticky; top: 0; background: var(--card); }
b.better { color: var(--good); } b.worse { color: var(--bad); }
`;
