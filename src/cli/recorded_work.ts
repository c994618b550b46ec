import type { EvalRun, RunFolder } from "../eval/run_folder_node.ts";
import { log } from "./command.ts";
import type { Evaluation } from "./eval_run.ts";

/** How the work of a session ended: with all that there was to do, or before. */
export interface WorkEnd {
  complete: boolean;
  /** What ended it, in words. */
  error?: string;
}

/**
 * Does work whose rows go to a run's folder, and tells there what this session did. Whatever ended the work, `report` then
 * gets the run, and the folder is closed. An interruption is no error here.
 * @throws what ended the work, also where the folder cannot be written after that
 */
export async function recordWork<Row, C>(
  { session, signal, work }: Pick<Evaluation, "session" | "signal" | "work">,
  folder: RunFolder<Row, C>,
  doWork: () => Promise<void>,
  report: (run: EvalRun<C>, end: WorkEnd) => Promise<void>,
): Promise<void> {
  const { device, description } = session.pipeline.ldm.gpu.adapter;
  const started = new Date();
  const record = () => {
    const { timings: _, ...done } = work;
    return folder.record({ adapter: device, driver: description, started: started.toISOString(), seconds: (Date.now() - started.getTime()) / 1000, ...done });
  };
  const failure = await failureOf(async () => {
    await record();
    await doWork();
  });
  const reportFailure = await failureOf(async () => report(await record(), endOf(failure)));
  const failures = new Set([failure, reportFailure, await failureOf(() => folder.close())].filter((each) => each !== undefined));
  const [first, ...others] = [...failures].filter((error) => !(signal.aborted && error.name === "AbortError"));
  for (const { message } of others) log(`then: ${message}`);
  if (first) throw first;
}

async function failureOf(action: () => Promise<void>): Promise<Error | undefined> {
  return action().then(() => undefined, (error: Error) => error);
}

function endOf(failure: Error | undefined): WorkEnd {
  return failure ? { complete: false, error: failure.name === "AbortError" ? "interrupted" : failure.message } : { complete: true };
}
