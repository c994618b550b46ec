import type { Cost } from "../grounding/savings.ts";
import { type ReportEntry, resultCard } from "./card.ts";
import { type Html, html } from "./html.ts";
import { type Row, page, section } from "./page.ts";
import type { ResultRecord } from "./result_record.ts";
import { savingsRows } from "./savings_rows.ts";

/** What a run did. */
export interface ReportRun {
  results: readonly ReportEntry[];
  /** Images that could not be used, and why. */
  failures: readonly { error: string }[];
  /** What the reader must know of the results. */
  warnings: readonly string[];
  /** Work of the run, and what the published procedure would have taken. */
  cost: Cost & { published: Cost };
  /** Milliseconds by stage. */
  timings: Readonly<Record<string, number>>;
  seconds: number;
  interrupted: boolean;
}

/** One self-contained page about a run with at least one result: no script, pictures inline. */
export function reportHtml(run: ReportRun): string {
  const [{ record }] = run.results;
  const body = html`<header>
<h1>Where the phrases point</h1>
<div class="quiet">${title(run)} · model ${record.model.name} · mode ${record.mode}, ${record.steps} steps · ${run.seconds.toFixed(1)} s on ${record.adapter}</div>
${banners(run).map((text) => html`<div class="banner">${text}</div>`)}
${legend(run)}
</header>
<main>
<div class="cards">
${run.results.map(resultCard)}
</div>
<div class="about">
${section("Settings", settingRows(record))}
${section("Model and device", deviceRows(record, run))}
${savingsSection(run)}
${section("Time", timeRows(run))}
</div>
</main>
<footer class="quiet">attnscope ${record.version}. Maps show where the attention of a diffusion model goes; they are not a diagnosis.</footer>`;
  return page(title(run), body);
}

function title({ results }: ReportRun): string {
  const images = new Set(results.map(({ record }) => record.image.sha256)).size;
  const phrases = new Set(results.map(({ record }) => record.phrase)).size;
  const count = (n: number, name: string) => `${n} ${name}${n === 1 ? "" : "s"}`;
  return `${count(images, "film")}, ${count(phrases, "phrase")}`;
}

function banners({ warnings, failures, interrupted }: ReportRun): string[] {
  return [
    ...warnings.map((warning) => `${warning[0].toUpperCase()}${warning.slice(1)}.`),
    ...failures.map(({ error }) => `Left out: ${error}`),
    ...(interrupted ? ["The run was interrupted: these are the results that were finished."] : []),
  ];
}

function legend({ results }: ReportRun): Html {
  const judged = results.flatMap(({ record }) => record.reference ?? []);
  const inside = judged.filter(({ peakInside }) => peakInside).length;
  const box = (stroke: string) => html`<svg viewBox="0 0 22 16"><rect x="4" y="3" width="14" height="10" fill="none" stroke="${stroke}" stroke-width="2"/></svg>`;
  return html`<div class="legend">
<span>0 <span class="scale"></span> 1</span>
<span><svg viewBox="0 0 22 16"><path d="M6 8H16M11 3V13" stroke="#ff0" stroke-width="2"/></svg>peak</span>
<span>${box("#f0f")}region of the mask</span>
${judged.length > 0 && html`<span>${box("#fff")}reference box: ${inside} of ${judged.length} peaks inside</span>`}
</div>`;
}

function settingRows({ mode, steps, seed, settings }: ResultRecord): Row[] {
  const { lastSteps, tokens, label, merge, layers, guidance, reading } = settings;
  return [
    ["mode", mode],
    ["steps", `${steps}, the last ${Math.min(lastSteps, steps)} make the map`],
    ["tokens", label && tokens === "disease" ? `${tokens} (${label})` : tokens],
    ["merge", merge],
    ["layers", layers === "all" ? layers : layers.join(", ")],
    ["guidance", String(guidance)],
    ["reading", reading],
    ["seed", String(seed)],
  ];
}

function deviceRows({ model, adapter, driver, dtype }: ResultRecord, { results }: ReportRun): Row[] {
  const peak = results.reduce((most, { record }) => Math.max(most, record.run.gpuBytesPeak), 0);
  return [
    ["model", model.name],
    ...(model.lora === undefined ? [] : [["LoRA", model.lora] as const]),
    ["SHA-256", model.sha256],
    ["dtype", dtype],
    ["adapter", adapter],
    ["driver", driver],
    ["GPU memory", `${(peak / 2 ** 20).toFixed(1)} MiB at the peak`],
  ];
}

function savingsSection({ cost }: ReportRun): Html {
  const rows = savingsRows(cost).map(({ what, taken, published, saved }) => html`<tr><th>${what}</th><td class="number">${taken}</td><td class="number">${published}</td><td class="number">${saved}</td></tr>`);
  const heads = ["", "here", "published procedure", "saved"].map((name) => html`<th class="number">${name}</th>`);
  return html`<section><h2>Work</h2><table><thead><tr>${heads}</tr></thead><tbody>${rows}</tbody></table></section>`;
}

function timeRows({ timings, seconds }: ReportRun): Row[] {
  const stages = Object.entries(timings).map(([stage, ms]): Row => [stage, `${(ms / 1000).toFixed(2)} s`]);
  return [...stages, ["in all, with loading and writing", `${seconds.toFixed(2)} s`]];
}
