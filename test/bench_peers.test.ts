import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Outputs } from "../bench/peers/engine.ts";
import type { EngineProcess } from "../bench/peers/engine_process.ts";
import { type Measured, createContest, isCounted } from "../bench/peers/measure.ts";
import { barsOf, barsTable } from "../bench/peers/report.ts";
import { works } from "../bench/peers/work.ts";

const work = works.find(({ attention }) => attention === "mapped") ?? assert.fail("no work returns a map");

/** What an engine's process does in place of computing. */
interface Behaviour {
  ms?: number;
  /** Throws or answers; `reads` counts the calls from 1. */
  read?: (reads: number) => Outputs;
  run?: (runs: number) => void;
}

const right: Outputs = { out: Float32Array.of(1, 2), map: Float32Array.of(0.5, 0.5) };
const withoutMap: Outputs = { out: right.out };
const raise = (message: string): never => {
  throw new Error(message);
};

function pretend({ ms = 100, read = () => right, run = () => undefined }: Behaviour): EngineProcess {
  let [alive, reads, runs] = [true, 0, 0];
  return {
    open: async () => ({ version: "1", device: "a device", driver: "a driver" }),
    prepare: async () => undefined,
    async run(times) {
      run(++runs);
      return times * ms;
    },
    read: async () => read(++reads),
    free: async () => undefined,
    get alive() {
      return alive;
    },
    end: () => void (alive = false),
  };
}

/** Measures the work with engines that only pretend to compute: what is not named is right and takes 100 ms. */
async function contest(behaviours: Record<string, Behaviour>): Promise<{ of: (engine: string) => Measured; results: Measured[] }> {
  const start = (id: string) => pretend(behaviours[id] ?? (id === "attnscope, no map" ? { read: () => withoutMap } : {}));
  const { measure } = createContest({ rounds: 3, limitMs: 1000, peers: ["tfjs", "jax-js", "reference"], say: () => undefined, start });
  const results = await measure(work);
  return { results, of: (engine) => results.find((one) => one.engine === engine) ?? assert.fail(`no ${engine}`) };
}

describe("engines side by side", () => {
  test("count with the right numbers, ours also without a map where none is kept", async () => {
    const { results } = await contest({ tfjs: { ms: 400 }, "jax-js": { ms: 500 } });
    assert.deepEqual(results.map(({ engine, roundsMs }) => [engine, roundsMs.length]), [["attnscope", 3], ["attnscope, no map", 3], ["tfjs", 3], ["jax-js", 3]]);
    assert.ok(results.every(isCounted));
    const [besidePeer, besideItself] = barsOf(work, results);
    assert.deepEqual(besidePeer, { work: work.name, against: "tfjs", ratio: 4, bar: 3, met: true });
    assert.equal(besideItself.ratio, 1);
  });

  test("do not count where an output is missing, nor where none is returned", async () => {
    const { of } = await contest({ attnscope: { read: () => withoutMap }, "attnscope, no map": { read: () => ({}) }, tfjs: { read: () => ({}) } });
    assert.deepEqual(["attnscope", "attnscope, no map", "tfjs"].map((engine) => of(engine).reason), ["it returns no map", "it returns no out", "it returns no out, map"]);
    assert.ok(isCounted(of("jax-js")));
  });

  test("are checked again after the timed rounds", async () => {
    const spoilt = (reads: number): Outputs => (reads === 1 ? right : { ...right, out: Float32Array.of(1, 3) });
    const { of } = await contest({ tfjs: { read: spoilt } });
    const { error, correct, roundsMs } = of("tfjs");
    assert.deepEqual([error, correct, roundsMs.length], [0.5, false, 3]);
    assert.ok(of("jax-js").correct);
  });

  test("go on without the reference: the work stands there with the reason", async () => {
    const { results } = await contest({ reference: { run: () => raise("run took longer than 1 s") } });
    assert.equal(results.length, 4);
    for (const { reason, roundsMs } of results) assert.deepEqual([reason, roundsMs.length], ["not measured, for lack of the f64 reference: run took longer than 1 s", 0]);
  });
});

describe("bars", () => {
  test("are missed where ours fails in a round", async () => {
    const { of, results } = await contest({ attnscope: { run: (runs) => void (runs === 4 && raise("its process ended with SIGSEGV")) } });
    assert.deepEqual([of("attnscope").roundsMs.length, of("attnscope").correct, isCounted(of("attnscope"))], [1, true, false]);
    const bars = barsOf(work, results);
    assert.deepEqual(bars, [
      { work: work.name, against: "tfjs", bar: 3, met: false },
      { work: work.name, against: "itself without the map", bar: 1.03, met: false },
    ]);
    assert.equal([...barsTable(bars).matchAll(/MISSED/g)].length, 2);
  });

  test("are neither met nor missed where no peer is right", async () => {
    const wrong = { read: (): Outputs => ({ ...right, map: Float32Array.of(1, 0) }) };
    const { results } = await contest({ tfjs: wrong, "jax-js": wrong });
    assert.deepEqual(barsOf(work, results)[0], { work: work.name, against: "no correct peer", bar: 3 });
  });
});
