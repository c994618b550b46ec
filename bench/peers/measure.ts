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

/** What a measurement needs. */
export interface MeasureOptions {
  rounds: number;
  /** Time an engine has for one call. */
  limitMs: number;
  /** Peers that take part. */
  peers: readonly string[];
  say: (line: string) => void;
}

/** f32 engines sum in different orders and approximate exp and erf; a wrong algorithm errs by far more. */
const errorBound = 1e-3;
/** How long a round of an engine lasts about, and how often it runs at most in it. */
const [roundMs, mostRuns] = [200, 20];

interface Contender {
  entry: EngineEntry;
  process: EngineProcess;
  runs: number;
  measured: Measured;
}

/** Engines in their processes, which are started when first needed and again after a crash. */
export function createContest({ rounds, limitMs, peers, say }: MeasureOptions) {
  const processes = new Map<string, EngineProcess>();
  const facts = new Map<string, EngineFacts>();
  /** Engines that did not start: they are not tried again. */
  const unavailable = new Map<string, string>();

  async function open(id: string): Promise<EngineProcess> {
    const reason = unavailable.get(id);
    if (reason) throw new Error(reason);
    const present = processes.get(id);
    if (present?.alive) return present;
    const process = startEngine(id, limitMs);
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
    const outputs = await process.read();
    const error = Math.max(...Object.entries(outputs).map(([name, values]) => relativeError(values, reference[name])));
    const runs = Math.max(1, Math.min(mostRuns, Math.round(roundMs / (await process.run(1)))));
    return { entry, process, runs, measured: { work: work.name, engine: entry.id, role: entry.role, error, correct: error <= errorBound, roundsMs: [] } };
  }

  async function measure(work: Work): Promise<Measured[]> {
    const entries = engines.filter(({ id, role, takes }) => (role !== "peer" || peers.includes(id)) && (takes?.(work) ?? true));
    say(`${work.name}: reference`);
    const reference = await referenceOutputs(work);
    const results: Measured[] = [];
    const contenders: Contender[] = [];
    for (const entry of entries) {
      say(`${work.name}: ${entry.id}`);
      try {
        contenders.push(await enter(entry, work, reference));
      } catch (error) {
        processes.get(entry.id)?.end();
        results.push({ work: work.name, engine: entry.id, role: entry.role, reason: messageOf(error), correct: false, roundsMs: [] });
      }
    }
    for (let round = 0; round < rounds; round++) {
      say(`${work.name}: round ${round + 1} of ${rounds}`);
      for (const contender of contenders) await runRound(contender);
    }
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

  return { measure, facts, unavailable, end: () => [...processes.values()].forEach((process) => process.end()) };
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ").slice(0, 300);
