import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EvalRow } from "../eval/row.ts";
import { type EvalConfiguration, type EvalRun, type EvalSession, readWholeRun } from "../eval/run_folder_node.ts";
import type { SweptRun } from "../paper/measured.ts";
import { settingsOf } from "../sweep/settings.ts";
import type { SweepRow } from "../sweep/sweep_row.ts";
import { parseJson } from "../weights/byte_source.ts";
import { type EvalResults, SUMMARY_FILE } from "./eval_results.ts";
import type { PaperOptions } from "./paper_options.ts";
import { paperFolders } from "./paper_steps.ts";
import type { SweepConfiguration } from "./sweep_run.ts";

/** A sweep's folder, read. */
export interface ReadSweep extends SweptRun {
  readonly configuration: SweepConfiguration;
  readonly sessions: readonly EvalSession[];
}

/** What all steps have left. */
export interface PaperRuns {
  readonly controls: { readonly run: EvalRun<EvalConfiguration>; readonly rows: readonly EvalRow[] };
  readonly methods: ReadSweep;
  readonly lastSteps: ReadSweep;
  readonly layers: ReadSweep;
  readonly timesteps: ReadSweep;
  /** By the name that was given. */
  readonly encoders: ReadonlyMap<string, ReadSweep>;
  /** By rank. */
  readonly lora: ReadonlyMap<number, ReadSweep>;
}

/** Reads the folders of all steps. */
export async function readPaperRuns({ out, encoder, lora }: PaperOptions): Promise<PaperRuns> {
  const folders = paperFolders(out);
  const readAll = async <K>(keys: Iterable<string>, folderOf: (key: string) => string, keyOf: (key: string) => K) =>
    new Map(await Promise.all([...keys].map(async (key) => [keyOf(key), await readSweep(folderOf(key))] as const)));
  return {
    controls: await readWholeRun(folders.controls),
    methods: await readSweep(folders.methods),
    lastSteps: await readSweep(folders.lastSteps),
    layers: await readSweep(folders.layers),
    timesteps: await readSweep(folders.timesteps),
    encoders: await readAll(encoder.keys(), folders.encoder, String),
    lora: await readAll(lora.keys(), folders.lora, Number),
  };
}

async function readSweep(folder: string): Promise<ReadSweep> {
  const { run, rows } = await readWholeRun<SweepRow, SweepConfiguration>(folder);
  const { configuration, sessions } = run;
  return { configuration, sessions, rows: rows.toSorted((a, b) => a.sample - b.sample), settings: settingsOf(configuration.grid, configuration.layers) };
}

/**
 * Whether a run of a step that began at `since` was gone through, whatever it had to leave out. What an earlier session
 * left does not count, nor one that was interrupted or failed.
 */
export async function isStepFinished(folder: string, since: Date): Promise<boolean> {
  const path = join(folder, SUMMARY_FILE);
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return false;
  const { complete, run } = parseJson(path, text) as Pick<EvalResults, "complete" | "run">;
  const started = run.sessions.at(-1)?.started;
  return complete === true && started !== undefined && new Date(started) >= since;
}
