import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DeviceLostError, InputError } from "../src/errors.ts";
import type { ExploreOptions, PartialMap } from "../src/grounding/exploration.ts";
import { type Engine, type LoadingWatch, openEngine } from "../src/page/engine.ts";
import { type EngineState, createEngineKeeper } from "../src/page/engine_keeper.ts";
import { type PanelState, type RunInputs, startRun } from "../src/page/exploration_run.ts";
import { startSettings } from "../src/page/settings.ts";
import type { LibraryWorker, WorkerExploration } from "../src/worker/client.ts";
import type { SentSource } from "../src/worker/methods.ts";
import { type Handler, sendFile, startServer } from "./weights_server.ts";

/** A promise that the test settles. */
function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((...both) => { [resolve, reject] = both; });
  return { promise, resolve, reject };
}

/** All promises that are settled have told so. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("the page's engine", () => {
  /** A keeper whose openings the test ends, and what it did: `+a` a is open, `-a` closed, otherwise states. */
  function keeperOf(first: SentSource) {
    const openings = new Map<string, ReturnType<typeof deferred<void>> & { watch: LoadingWatch }>();
    const events: string[] = [];
    const open = async (source: SentSource, watch: LoadingWatch) => {
      const opening = { ...deferred<void>(), watch };
      openings.set(String(source), opening);
      await opening.promise;
      events.push(`+${source}`);
      return { close: async () => void events.push(`-${source}`) } as Engine;
    };
    const keeper = createEngineKeeper(first, open, (state: EngineState) => events.push(state.kind === "failed" ? state.message : [state.kind, state.note].filter(Boolean).join(": ")));
    const end = async (source: string, error?: Error) => {
      await settled();
      if (error) openings.get(source)?.reject(error);
      else openings.get(source)?.resolve();
      await settled();
    };
    return { keeper, openings, events, end };
  }

  test("is closed before another is opened", async () => {
    const { keeper, events, end } = keeperOf("a");
    void keeper.reopen();
    await end("a");
    void keeper.open(() => "b");
    await end("b");
    assert.deepEqual(events, ["loading", "+a", "ready", "loading", "-a", "+b", "ready"]);
  });

  test("is the one that was asked for last: what opens later is closed, and its progress and failure are not told", async () => {
    const { keeper, openings, events, end } = keeperOf("a");
    void keeper.reopen();
    await settled();
    void keeper.open(() => "b");
    await settled();
    void keeper.open(() => "not even begun");
    void keeper.open(() => "c");
    await end("c");
    assert.ok(openings.get("a")?.watch.signal.aborted && openings.get("b")?.watch.signal.aborted);
    openings.get("a")?.watch.onLoading({ part: "unet", bytes: 1, total: 2, bytesPerSecond: 1 });
    await end("a");
    await end("b", new InputError("b", "is none"));
    assert.deepEqual([...openings.keys()], ["a", "b", "c"]);
    assert.deepEqual(events, ["loading", "loading", "loading", "loading", "+c", "ready", "+a", "-a"]);
  });

  test("stays open where a choice fails, and is opened again with all that is to be said", async () => {
    const { keeper, openings, events, end } = keeperOf("a");
    const wrong = () => keeper.open(() => { throw new InputError("the folder", "holds no model"); });
    void keeper.reopen();
    await settled();
    await wrong();
    await end("a");
    assert.deepEqual(events.splice(0), ["loading", "The folder: holds no model.", "+a", "-a"]);
    void keeper.reopen("It was lost.");
    await settled();
    openings.get("a")?.watch.onNote("It is not kept.");
    await end("a");
    await wrong();
    assert.deepEqual(events, ["loading: It was lost.", "+a", "ready: It was lost. It is not kept.", "ready: The folder: holds no model."]);
  });
});

describe("opening the engine", () => {
  const card = { syntheticFilms: { side: 128, channels: 1, note: "its maps on real films mean nothing" } };
  const films = [{ image: "film.png", label: "an effusion", phrase: "effusion", boxes_xywh: [] }];
  const file = (text: string): Handler => (request, response) => sendFile(request, response, new TextEncoder().encode(text));
  const answer = (status: number): Handler => (_, response) => void response.writeHead(status).end();

  /** Opens a model of a server that has these files, with a worker that loads anything; and what the visitor is told. */
  async function open(t: Parameters<typeof startServer>[0], files: Record<string, Handler>) {
    const { url } = await startServer(t, (request, response) => (files[request.url ?? ""] ?? answer(404))(request, response));
    const worker = { openGpu: async () => ({}), loadPipeline: async () => ({}) } as unknown as LibraryWorker;
    const notes: string[] = [];
    const engine = await openEngine(worker, url, { signal: new AbortController().signal, onLoading() {}, onNote: (note) => notes.push(note) });
    return { engine, notes: notes.map((note) => note.replaceAll(url, "model")), url };
  }

  test("reads what stands beside the model, and says nothing where nothing does", async (t) => {
    const { engine, notes, url } = await open(t, { "/attnscope.json": file(JSON.stringify(card)), "/samples/films.json": file(JSON.stringify(films)) });
    assert.deepEqual([engine.synthetic, engine.samples?.map((sample) => sample.url), notes], [card.syntheticFilms, [`${url}/samples/film.png`], []]);
    const bare = await open(t, {});
    assert.deepEqual([bare.engine.synthetic, bare.engine.samples, bare.notes], [undefined, undefined, []]);
  });

  test("says so where that is broken or cannot be had", async (t) => {
    const { engine, notes } = await open(t, { "/attnscope.json": answer(500), "/samples/films.json": file("[") });
    assert.deepEqual([engine.synthetic, engine.samples, notes.length], [undefined, undefined, 2]);
    assert.match(notes[0], /its maps of others may mean nothing: model\/attnscope\.json: .*500.*\.$/);
    assert.match(notes[1], /sample films cannot be shown: model\/samples\/films\.json: is not JSON/);
    assert.match((await open(t, { "/attnscope.json": file("<html>") })).notes.join(), /model\/attnscope\.json: is not JSON/);
  });

  test("gives the device back where the model cannot be loaded", async () => {
    let closed = 0;
    const worker = { openGpu: async () => ({ close: async () => void closed++ }), loadPipeline: () => Promise.reject(new InputError("unet", "is missing")) } as unknown as LibraryWorker;
    await assert.rejects(openEngine(worker, "http://127.0.0.1/", { signal: new AbortController().signal, onLoading() {}, onNote() {} }), /unet: is missing/);
    assert.equal(closed, 1);
  });
});

describe("an exploration of a panel", () => {
  const lost = new DeviceLostError("crashed", []);

  /** A run whose computing the test ends, and what its panel was told. */
  function started() {
    const computing = deferred<WorkerExploration>();
    const told: (Partial<PanelState> | string)[] = [];
    let watch: ExploreOptions = {};
    let freed = 0;
    const pipeline = { explore: (_film: unknown, _phrase: string, options: ExploreOptions) => { watch = options; return computing.promise; } };
    const run = startRun({ engine: { pipeline }, film: {}, phrase: "effusion", settings: startSettings } as unknown as RunInputs, { update: (change) => told.push(change), onDeviceLost: (reason) => told.push(reason) });
    const exploration = { free: async () => void freed++ } as unknown as WorkerExploration;
    const finish = (error?: Error) => {
      if (error) computing.reject(error);
      else computing.resolve(exploration);
      return settled();
    };
    const progress = () => {
      watch.onProgress?.({ stage: "encode", done: 1, total: 1 });
      watch.onPartial?.({ done: 1 } as PartialMap);
    };
    return { run, told, exploration, finish, progress, watch: () => watch, freed: () => freed };
  }

  test("tells its progress and its outcome, and is given back when another takes its place", async () => {
    const { run, told, exploration, finish, progress, freed } = started();
    progress();
    await finish();
    assert.deepEqual(told.map((change) => Object.keys(change)), [["progress"], ["partial"], ["exploration", "progress", "seconds"]]);
    assert.equal((told[2] as PanelState).exploration, exploration);
    assert.equal(freed(), 0);
    run.end();
    assert.equal(freed(), 1);
  });

  test("tells nothing once another has taken its place, whatever becomes of it", async () => {
    for (const error of [undefined, new InputError("phrase", "is too long"), lost]) {
      const { run, told, finish, progress, watch, freed } = started();
      run.end();
      assert.ok(watch().signal?.aborted);
      progress();
      await finish(error);
      assert.deepEqual(told, []);
      assert.equal(freed(), error ? 0 : 1);
    }
  });

  test("that the visitor stops is no longer in progress, also where it was finished meanwhile", async () => {
    for (const error of [undefined, new DOMException("stopped", "AbortError")]) {
      const { run, told, finish, progress, freed } = started();
      run.stop();
      progress();
      await finish(error);
      assert.deepEqual(told, error ? [{ progress: undefined, error: undefined }] : [{ progress: undefined }]);
      assert.equal(freed(), error ? 0 : 1);
    }
  });

  test("asks for the device anew where it was lost", async () => {
    const { told, finish } = started();
    await finish(lost);
    const text = "The graphics device was lost (device lost: crashed).";
    assert.deepEqual(told, [{ progress: undefined, error: text }, text]);
  });
});
