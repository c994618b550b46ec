import type { EngineFacts, Outputs, Work } from "./engine.ts";
import { type EngineProcess, startEngine } from "./engine_process.ts";
import { type EngineEntry, engines } from "./engines.ts";
import { relativeError } from "./numbers.ts";

/** What an engine did with a work. */
export interface Measured {
  work: string;
  engine: string;
  role: EngineEntry["role"];
  /** Why there are no times. */
  reason?: string;
  /** Largest difference from the f64 reference, relative to its largest value. */
  error?: number;
  /** Whether that is within the bound: other times do not count. */
  correct: boolean;
  /** Milliseconds of a run in each round. */
  roundsMs: number[];
}

/** Whether a work's times count: all rounds ran, with the right numbers. */
export const isCounted = ({ correct, reason }: Measured): boolean => correct && !reason;

/** What a measurement needs. */
export interface MeasureOptions {
  rounds: number;
  /** Time an engine has for one call. */
  limitMs: number;
  /** Peers that take part. */
  peers: readonly string[];
  say: (line: string) => void;
  /** Starts an engine's process; for tests. */
  start?: typeof startEngine;
}

/** f32 engines sum in different orders and approximate exp and erf; a wrong algorithm errs by far more. */
const errorBound = 1e-3;
/** How long a round of an engine lasts about, and how often it runs at most in it. */
const [roundMs, mostRuns] = [200, 20];

interface Contender {
  process: EngineProcess;
  runs: number;
  measured: Measured;
}

/** Engines in their processes, which are started when first needed and again after a crash. */
export function createContest({ rounds, limitMs, peers, say, start = startEngine }: MeasureOptions) {
  const processes = new Map<string, EngineProcess>();
  const facts = new Map<string, EngineFacts>();
  /** Engines that did not start: they are not tried again. */
  const unavailable = new Map<string, string>();

  async function open(id: string): Promise<EngineProcess> {
    const reason = unavailable.get(id);
    if (reason) throw new Error(reason);
    const present = processes.get(id);
    if (present?.alive) return present;
    const process = start(id, limitMs);
    try {
      facts.set(id, await process.open());
    } catch (error) {
      process.end();
      unavailable.set(id, `cannot be run: ${messageOf(error)}`);
      throw new Error(unavailable.get(id));
    }
    processes.set(id, process);
    return process;
  }

  async function referenceOutputs(work: Work): Promise<Outputs> {
    const process = await open("reference");
    await process.prepare(work.name);
    await process.run(1);
    return process.read();
  }

  /** Prepares an engine, checks its numbers and finds out how often it fits into a round. */
  async function enter(entry: EngineEntry, work: Work, reference: Outputs): Promise<Contender> {
    const process = await open(entry.id);
    await process.prepare(work.name);
    await process.run(1);
    const error = outputError(entry.role, await process.read(), reference);
    const runs = Math.max(1, Math.min(mostRuns, Math.round(roundMs / (await process.run(1)))));
    return { process, runs, measured: { work: work.name, engine: entry.id, role: entry.role, error, correct: error <= errorBound, roundsMs: [] } };
  }

  async function measure(work: Work): Promise<Measured[]> {
    const entries = engines.filter(({ id, role, takes }) => (role !== "peer" || peers.includes(id)) && (takes?.(work) ?? true));
    say(`${work.name}: reference`);
    const results: Measured[] = [];
    const fail = ({ id, role }: EngineEntry, reason: string) => results.push({ work: work.name, engine: id, role, reason, correct: false, roundsMs: [] });
    let reference: Outputs;
    try {
      reference = await referenceOutputs(work);
    } catch (error) {
      processes.get("reference")?.end();
      for (const entry of entries) fail(entry, `not measured, for lack of the f64 reference: ${messageOf(error)}`);
      return results;
    }
    const contenders: Contender[] = [];
    for (const entry of entries) {
      say(`${work.name}: ${entry.id}`);
      try {
        contenders.push(await enter(entry, work, reference));
      } catch (error) {
        processes.get(entry.id)?.end();
        fail(entry, messageOf(error));
      }
    }
    for (let round = 0; round < rounds; round++) {
      say(`${work.name}: round ${round + 1} of ${rounds}`);
      for (const contender of contenders) await runRound(contender);
    }
    for (const contender of contenders) await checkAgain(contender, reference);
    for (const { process } of contenders) if (process.alive) await process.free().catch(() => process.end());
    return [...contenders.map(({ measured }) => measured), ...results];
  }

  async function runRound({ process, runs, measured }: Contender): Promise<void> {
    if (measured.reason) return;
    try {
      measured.roundsMs.push((await process.run(runs)) / runs);
    } catch (error) {
      measured.reason = messageOf(error);
    }
  }

  /** The numbers of the last timed run. */
  async function checkAgain({ process, measured }: Contender, reference: Outputs): Promise<void> {
    if (measured.reason) return;
    try {
      measured.error = Math.max(measured.error ?? 0, outputError(measured.role, await process.read(), reference));
      measured.correct = measured.error <= errorBound;
    } catch (error) {
      measured.reason = messageOf(error);
    }
  }

  return { measure, facts, unavailable, end: () => [...processes.values()].forEach((process) => process.end()) };
}

/** Largest relative error over all outputs that the reference has. Throws where one is missing. */
function outputError(role: EngineEntry["role"], outputs: Outputs, reference: Outputs): number {
  const names = Object.keys(reference).filter((name) => !(role === "ours without the map" && name === "map"));
  const missing = names.filter((name) => !(name in outputs));
  if (missing.length > 0) throw new Error(`it returns no ${missing.join(", ")}`);
  return Math.max(...names.map((name) => relativeError(outputs[name], reference[name])));
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ").slice(0, 300);
