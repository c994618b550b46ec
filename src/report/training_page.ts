import type { Configuration } from "../training/checkpoint.ts";
import { smoother } from "../training/loss_watch.ts";
import type { StepRecord } from "../training/loop.ts";
import type { Recipe } from "../training/recipe.ts";
import type { ValidatedFilm, ValidationRecord } from "../training/validation_record.ts";
import { curve } from "./curves.ts";
import { type Html, html } from "./html.ts";
import { formatCount, formatDuration } from "./numbers.ts";
import { type Row, page, section } from "./page.ts";
import { type Axis, type Series, lineChart, plotStyle } from "./plot.ts";

/** What a page about a training run shows. */
export interface TrainingReport {
  /** The run's folder. */
  readonly name: string;
  /** At least one. */
  readonly records: readonly StepRecord[];
  /** What the run is about; undefined before its first checkpoint. */
  readonly configuration: Configuration | undefined;
  readonly validations: readonly ValidationRecord[];
  /** Validations whose pictures are shown, one column each: data URLs by the film's file. */
  readonly pictures: readonly { readonly record: ValidationRecord; readonly urls: ReadonlyMap<string, string> }[];
  readonly version: string;
}

/** One self-contained page about a training run, finished or not: curves, validation maps over time, recipe. */
export function trainingReportHtml(report: TrainingReport): string {
  const { name, records, configuration, pictures, version } = report;
  const recipe = configuration?.recipe as Partial<Recipe> | undefined;
  const last = records[records.length - 1];
  const body = html`<header>
<h1>Training</h1>
<div class="quiet">${name} · step ${formatCount(last.step)}${recipe?.maxSteps !== undefined && ` of ${formatCount(recipe.maxSteps)}`}</div>
</header>
<main>
<div class="about plots">${charts(report).map((chart) => html`<section>${chart}</section>`)}</div>
${pictures.length > 0 && validationMaps(pictures)}
<div class="about">
${section("Run", runRows(report))}
${recipe && section("Recipe", Object.entries(recipe).map(([key, value]): Row => [words(key), Array.isArray(value) ? value.join(", ") : String(value)]))}
</div>
</main>
<footer class="quiet">attnscope ${version}</footer>`;
  return page(`training ${name}`, body, plotStyle + mapStyle);
}

// --- curves ----------------------------------------------------------------------------------------------------------

const stepAxis: Axis = { label: "step", whole: true };

function charts({ records, validations }: TrainingReport): Html[] {
  const steps = records.map(({ step }) => step);
  const over = (name: string, values: readonly (number | undefined)[]): Series => ({ name, ...curve(steps, values), mark: "line" });
  const chart = (title: string, label: string, values: readonly (number | undefined)[], scale: Axis["scale"] = "linear") => lineChart({ title, x: stepAxis, y: { label, scale }, series: [withoutBand(over(title, values))] });
  const norms = records.map(({ gradientNorm }) => gradientNorm);
  const scales = records.map(({ lossScale }) => lossScale);
  return [
    lossChart(steps, records.map(({ loss }) => loss)),
    chart("Learning rate", "rate", records.map(({ learningRate }) => learningRate)),
    lineChart({ title: "Norm of the gradients, before clipping", x: stepAxis, y: { label: "norm", scale: scaleFor(norms) }, series: [over("norm", norms)] }),
    lineChart({ title: "Speed", x: stepAxis, y: { label: "samples/s", from: 0 }, series: [over("speed", records.map(({ samplesPerSecond }) => samplesPerSecond))] }),
    ...(new Set(scales).size > 1 ? [chart("Loss scale", "factor", scales, "log")] : []),
    ...validationCharts(validations),
  ];
}

/** The loss of every step, and smoothed. */
function lossChart(steps: readonly number[], losses: readonly number[]): Html {
  const smooth = smoother();
  const smoothed = losses.map((loss) => (Number.isFinite(loss) ? smooth(loss) : undefined));
  const raw: Series = { name: "every step", ...curve(steps, losses), mark: "faint line" };
  return lineChart({
    title: "Loss",
    x: stepAxis,
    y: { label: "loss", scale: scaleFor(losses) },
    series: [raw, withoutBand({ name: "smoothed over 50 steps", ...curve(steps, smoothed) })],
  });
}

function validationCharts(validations: readonly ValidationRecord[]): Html[] {
  const x = validations.map(({ step }) => step);
  const mean = (name: string, key: keyof ValidationRecord["mean"]): Series => ({ name, x, y: validations.map(({ mean }) => mean[key] ?? undefined) });
  if (!validations.some(({ mean }) => mean.cnr !== null)) return [];
  return [
    lineChart({ title: "Validation: contrast to noise", x: stepAxis, y: { label: "CNR" }, series: [mean("CNR", "cnr")] }),
    lineChart({ title: "Validation", x: stepAxis, y: { label: "share", from: 0, to: 1 }, series: [mean("AUC-ROC", "aucRoc"), mean("Top-1", "top1"), mean("mIoU", "miou")] }),
  ];
}

function withoutBand({ low: _, high: __, ...series }: Series): Series {
  return series;
}

/** Logarithmic where values go through more than a decade. */
function scaleFor(values: readonly (number | undefined)[]): Axis["scale"] {
  let [least, greatest] = [Infinity, 0];
  for (const value of values) {
    if (value === undefined || !Number.isFinite(value) || value <= 0) continue;
    [least, greatest] = [Math.min(least, value), Math.max(greatest, value)];
  }
  return greatest > 10 * least ? "log" : "linear";
}

// --- validation maps -------------------------------------------------------------------------------------------------

/** A row a film, a column a step. */
function validationMaps(pictures: TrainingReport["pictures"]): Html {
  const { films } = pictures[pictures.length - 1].record;
  const rows = films.map((film) => html`<tr><th><span class="phrase-cell">${film.phrase}</span><br>${film.id}</th>${pictures.map(({ record, urls }) => mapCell(record.films.find((of) => isSame(of, film)), urls))}</tr>`);
  const heads = pictures.map(({ record }) => html`<th class="number">${formatCount(record.step)}</th>`);
  return html`<section class="maps"><h2>Where the phrases point, step by step</h2><p class="note quiet">Contrast to noise below each map, <span class="inside">green</span> where its peak is in the box.</p><div class="scroll"><table><thead><tr><th>film</th>${heads}</tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

function isSame(a: ValidatedFilm, b: ValidatedFilm): boolean {
  return a.id === b.id && a.phrase === b.phrase;
}

function mapCell(film: ValidatedFilm | undefined, urls: ReadonlyMap<string, string>): Html {
  const url = film && urls.get(film.picture);
  if (!url) return html`<td></td>`;
  const { phrase, metrics } = film;
  const verdict = metrics && html`<span class="${metrics.top1 ? "inside" : "outside"}" title="the peak is ${metrics.top1 ? "in" : "outside"} the box">CNR ${metrics.cnr?.toFixed(2)}</span>`;
  return html`<td><img src="${url}" alt="map of “${phrase}”">${verdict}</td>`;
}

const mapStyle = `
.plots section { min-width: 0; }
.maps { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; margin: 28px 0; }
.scroll { overflow-x: auto; }
.maps th { white-space: normal; min-width: 130px; font-size: 0.85rem; }
.maps thead th.number { min-width: 0; text-align: left; }
.phrase-cell { color: var(--text); }
.maps td { padding: 4px 8px 8px 0; font-size: 0.8rem; white-space: nowrap; }
.maps img { display: block; width: 128px; border-radius: 3px; }
`;

// --- facts -----------------------------------------------------------------------------------------------------------

function runRows({ records, configuration }: TrainingReport): Row[] {
  const seconds = records.reduce((sum, record) => sum + record.seconds, 0);
  const samples = records.reduce((sum, record) => sum + record.seconds * record.samplesPerSecond, 0);
  const { skippedSteps } = records[records.length - 1];
  const data = configuration?.data as { samples?: number } | undefined;
  return [
    ...(configuration?.kind === undefined ? [] : [["trained", String(configuration.kind)] as const]),
    ...(data?.samples === undefined ? [] : [["samples of the data set", formatCount(data.samples)] as const]),
    ["samples trained on", formatCount(Math.round(samples))],
    ["time in steps", formatDuration(seconds)],
    ["samples/s, mean", (samples / seconds).toFixed(1)],
    ...(skippedSteps > 0 ? [["steps skipped, whose gradients were not finite", formatCount(skippedSteps)] as const] : []),
  ];
}

/** learningRate: learning rate. */
function words(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
