import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DeviceError } from "../src/errors.ts";
import { theWorker } from "../src/page/engine.ts";
import { startWorker } from "../src/worker/client.ts";

/** A worker that answers nothing by itself. */
class SilentWorker extends EventTarget {
  posted: unknown[] = [];
  isTerminated = false;

  postMessage(message: unknown): void {
    this.posted.push(message);
  }

  terminate(): void {
    this.isTerminated = true;
  }
}

function silentLibrary() {
  const worker = new SilentWorker();
  return { worker, library: startWorker(worker as unknown as Worker) };
}

/** What a browser tells of a script that it cannot load has no message. */
const scriptNotLoaded = () => new Event("error");
const isFailure = (text: RegExp) => (error: unknown) => error instanceof DeviceError && text.test(error.message);

describe("a worker", () => {
  test("that failed rejects what waits and every later call with the same error", async () => {
    const { worker, library } = silentLibrary();
    const waiting = library.openGpu();
    assert.equal(library.failure, undefined);
    worker.dispatchEvent(scriptNotLoaded());
    await assert.rejects(waiting, isFailure(/the worker failed: its script cannot be loaded/));
    assert.ok(worker.isTerminated, "a device that it may hold is given back");
    await assert.rejects(library.decodeFilm(new Uint8Array(1), "film.png"), (error) => error === library.failure);
    assert.equal(worker.posted.length, 1);
  });

  test("that was ended says so, whatever is told of it afterwards", async () => {
    const { worker, library } = silentLibrary();
    library.terminate();
    worker.dispatchEvent(scriptNotLoaded());
    await assert.rejects(library.openGpu(), isFailure(/the worker was ended/));
  });

  test("of the page is one, until it fails: then another takes its place", (t) => {
    const before = Object.getOwnPropertyDescriptor(globalThis, "Worker");
    const workers: SilentWorker[] = [];
    class Started extends SilentWorker {
      constructor() {
        super();
        workers.push(this);
      }
    }
    Object.defineProperty(globalThis, "Worker", { value: Started, configurable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, "Worker", before) : Reflect.deleteProperty(globalThis, "Worker")));
    const first = theWorker();
    assert.equal(theWorker(), first);
    workers[0].dispatchEvent(scriptNotLoaded());
    const second = theWorker();
    assert.notEqual(second, first);
    void second.openGpu();
    assert.deepEqual(workers.map(({ posted }) => posted.length), [0, 1]);
  });
});
