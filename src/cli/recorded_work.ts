import type { EvalRun, RunFolder } from "../eval/run_folder_node.ts";
import type { Evaluation } from "./eval_run.ts";

/**
 * Does work whose rows go to a run's folder, and tells there what this session did. Whatever ended the work, `report` then
 * gets the run, and the folder is closed. An interruption is no error here.
 */
export async function recordWork<Row, C>(
  { session, signal, work }: Pick<Evaluation, "session" | "signal" | "work">,
  folder: RunFolder<Row, C>,
  doWork: () => Promise<void>,
  report: (run: EvalRun<C>) => Promise<void>,
): Promise<void> {
  const { device, description } = session.pipeline.ldm.gpu.adapter;
  const started = new Date();
  const record = () => {
    const { timings: _, ...done } = work;
    return folder.record({ adapter: device, driver: description, started: started.toISOString(), seconds: (Date.now() - started.getTime()) / 1000, ...done });
  };
  await record();
  try {
    await doWork();
  } catch (error) {
    if (!(signal.aborted && (error as Error).name === "AbortError")) throw error;
  } finally {
    await record().then(report).finally(() => folder.close());
  }
}
