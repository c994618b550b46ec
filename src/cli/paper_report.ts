import { join } from "node:path";
import { type SummarisedRow, summariseAll } from "../eval/summary.ts";
import type { EvalSession } from "../eval/run_folder_node.ts";
import { judgeClaims } from "../paper/claims.ts";
import { lastStepsFigure, layerFigure, timestepFigure } from "../paper/figures.ts";
import { rowsOfKind, rowsWhere } from "../paper/measured.ts";
import { pairedDifference } from "../paper/paired.ts";
import { type Control, type PaperReport, paperPage } from "../paper/paper_page.ts";
import { OWN_ENCODER } from "../paper/published.ts";
import { type Baselines, type ImageQuality, type PaperTable, baselineTable, csvTable, encoderTable, needs, processingTable, qualityTable } from "../paper/tables.ts";
import { formatCount, formatDuration } from "../report/numbers.ts";
import type { Row } from "../report/page.ts";
import { writeJson, writeTable } from "./eval_results.ts";
import { version } from "./package.ts";
import type { PaperPictures } from "./paper_pictures.ts";
import type { PaperRuns } from "./paper_runs.ts";
import { writeText } from "./result_files.ts";

/** All that the report is made of. */
export interface PaperFindings {
  readonly runs: PaperRuns;
  readonly bioVil: readonly SummarisedRow[] | undefined;
  readonly bioVilL: readonly SummarisedRow[] | undefined;
  readonly quality: ReadonlyMap<string, ImageQuality>;
  readonly pictures: PaperPictures;
  /** What the reader must know. */
  readonly notes: readonly string[];
  /** Seconds that pictures, baselines and image quality took. */
  readonly seconds: number;
}

/** Writes the page, and its tables and orderings as CSV and JSON. -> path of the page */
export async function writePaperReport(out: string, findings: PaperFindings): Promise<string> {
  const report = paperReport(findings);
  const path = join(out, "paper.html");
  await writeText(path, paperPage(report));
  for (const table of report.tables) await writeTable(join(out, `${table.id}.csv`), csvTable(table));
  const { subtitle, notes, claims, controls, tables, charts } = report;
  const said = Object.fromEntries(Object.entries(charts).map(([name, { findings: sentences }]) => [name, sentences]));
  await writeJson(join(out, "paper.json"), { version, subtitle, notes, claims, controls, tables, findings: said });
  return path;
}

/** Computes all of the report from the runs. */
function paperReport({ runs, bioVil, bioVilL, quality, pictures, notes, seconds }: PaperFindings): PaperReport {
  const { methods, encoders } = runs;
  const clip = encoders.get("CLIP");
  const baselines: Baselines = {
    bioVil: bioVil ?? needs("--biovil DIR"),
    bioVilL: bioVilL ?? needs("--biovil-l DIR"),
    clip: clip ? rowsWhere(clip, { mode: "gt", tokens: "lexical", merge: "none" }) : needs("--encoder CLIP=DIR"),
  };
  const tables: PaperTable[] = [baselineTable(methods, baselines), encoderTable(methods, encoders), processingTable(methods), qualityTable(quality, new Map([...encoders, [OWN_ENCODER, methods]]))];
  return {
    subtitle: subtitle(runs), notes, tables,
    claims: judgeClaims(methods),
    controls: controlsOf(runs),
    charts: { timesteps: timestepFigure(runs.timesteps), lastSteps: lastStepsFigure(runs.lastSteps), layers: layerFigure(runs.layers, runs.layers.configuration.layers, runs.lora) },
    ...pictures,
    facts: { settings: settingRows(runs), work: workRows(runs, seconds) },
    version,
  };
}

function subtitle({ controls: { run }, methods, timesteps }: PaperRuns): string {
  const { data, model } = methods.configuration;
  return `${methods.rows.length} samples of ${data.dataset} (figure 4: ${timesteps.rows.length}) · model ${run.model}, ${model.sha256.slice(0, 12)} · ${run.sessions.at(-1)?.adapter ?? ""}`;
}

/** The phrase's own map and its controls, each with the lead of the phrase. */
function controlsOf({ controls: { rows }, methods }: PaperRuns): Control[] {
  const own = rowsOfKind(rows, "phrase");
  const others = [
    ["a wrong phrase, same film", rowsOfKind(rows, "wrong-phrase")],
    ["the class word alone", rowsOfKind(rows, "class-word")],
    ["that map over another film", rowsOfKind(rows, "other-film")],
    ["P_txt alone, no film", rowsWhere(methods, { mode: "cfg", tokens: "lexical", merge: "none" })],
  ] as const;
  return [
    { name: "the phrase (BBM)", summary: summariseAll(own) },
    ...others.flatMap(([name, some]) => (some.length === 0 ? [] : [{ name, summary: summariseAll(some), lead: pairedDifference(own, some)?.all }])),
  ];
}

function settingRows({ controls: { run }, methods }: PaperRuns): Row[] {
  const { settings, data, version: ofRun } = run.configuration;
  const { mode, steps, lastSteps, tokens, merge, guidance, seed, reading } = settings;
  return [
    ["data set", `${data.dataset}, ${data.samples} samples, SHA-256 ${data.sha256.slice(0, 16)}`],
    ["model", `${run.model}, SHA-256 ${methods.configuration.model.sha256}`],
    ["map", `mode ${mode}, T = ${steps}, the last ${Math.min(lastSteps, steps)}, ${tokens}, ${merge}`],
    ["cross-attention layers", methods.configuration.layers.map(({ side }) => side).join(", ")],
    ["guidance, seed, reading", `${guidance}, ${seed}, ${reading}`],
    ["device", `${run.sessions.at(-1)?.adapter}, ${run.sessions.at(-1)?.driver}`],
    ["version", ofRun],
  ];
}

function workRows(runs: PaperRuns, seconds: number): Row[] {
  const steps: [string, readonly EvalSession[]][] = [
    ["controls", runs.controls.run.sessions], ["tables 1 to 3", runs.methods.sessions], ["figure 5", runs.lastSteps.sessions], ["figure 6", runs.layers.sessions], ["figure 4", runs.timesteps.sessions],
    ...[...runs.encoders].map(([name, { sessions }]): [string, readonly EvalSession[]] => [`encoder ${name}`, sessions]),
    ...[...runs.lora].map(([rank, { sessions }]): [string, readonly EvalSession[]] => [`LoRA of rank ${rank}`, sessions]),
  ];
  const total = (sessions: readonly EvalSession[], of: (session: EvalSession) => number) => sessions.reduce((sum, session) => sum + of(session), 0);
  const secondsOf = (sessions: readonly EvalSession[]) => total(sessions, (session) => session.seconds);
  const rows = steps.map(([name, sessions]): Row => [name, `${formatDuration(secondsOf(sessions))}, ${formatCount(total(sessions, ({ cost }) => cost.unetEvaluations))} U-Net evaluations`]);
  const all = seconds + steps.reduce((sum, [, sessions]) => sum + secondsOf(sessions), 0);
  return [...rows, ["pictures, baselines, image quality", formatDuration(seconds)], ["in all, without starting each step", formatDuration(all)]];
}
