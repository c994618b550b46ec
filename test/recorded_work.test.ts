import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Evaluation } from "../src/cli/eval_run.ts";
import { type WorkEnd, recordWork } from "../src/cli/recorded_work.ts";
import { InputError } from "../src/errors.ts";
import type { EvalConfiguration, EvalRun, RunFolder } from "../src/eval/run_folder_node.ts";

/** Does the work with a folder in memory; gives how it ended, and what was told of it. */
async function outcome(t: TestContext, { doWork, record = async () => ({}) as EvalRun, signal = new AbortController().signal }: { doWork: () => Promise<void>; record?: () => Promise<EvalRun>; signal?: AbortSignal }) {
  const told = t.mock.method(process.stderr, "write", () => true);
  let closed = 0;
  const folder = { path: "run", rows: [], lost: new AbortController().signal, append: async () => undefined, record, close: async () => void closed++ } satisfies RunFolder<never, EvalConfiguration>;
  const evaluation = { session: { pipeline: { ldm: { gpu: { adapter: {} } } } }, signal, work: {} } as unknown as Evaluation;
  const ends: WorkEnd[] = [];
  const error = await recordWork(evaluation, folder, doWork, async (_run, end) => void ends.push(end)).then(() => undefined, (thrown: Error) => thrown);
  told.mock.restore();
  return { error, ends, closed, stderr: told.mock.calls.map((call) => String(call.arguments[0])).join("") };
}

const fails = (message: string) => async () => {
  throw new InputError("run", message);
};

test("results say whether the work was done, failed or was interrupted", async (t) => {
  const done = await outcome(t, { doWork: async () => undefined });
  assert.deepEqual([done.error, done.ends, done.closed], [undefined, [{ complete: true }], 1]);
  const failed = await outcome(t, { doWork: fails("the device is lost") });
  assert.deepEqual([failed.error?.message, failed.ends, failed.closed], ["run: the device is lost", [{ complete: false, error: "run: the device is lost" }], 1]);
  const controller = new AbortController();
  const interrupted = await outcome(t, {
    signal: controller.signal,
    doWork: async () => {
      controller.abort();
      controller.signal.throwIfAborted();
    },
  });
  assert.deepEqual([interrupted.error, interrupted.ends, interrupted.closed], [undefined, [{ complete: false, error: "interrupted" }], 1]);
});

test("a folder that cannot be written any more does not hide what ended the work", async (t) => {
  let isFull = false;
  const record = async () => (isFull ? fails("the disk is full")() : ({} as EvalRun));
  const { error, ends, closed, stderr } = await outcome(t, {
    record,
    doWork: async () => {
      isFull = true;
      await fails("the device is lost")();
    },
  });
  assert.deepEqual([error?.message, ends, closed], ["run: the device is lost", [], 1]);
  assert.match(stderr, /then: run: the disk is full/);
});
