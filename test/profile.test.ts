import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { assertMatches, testGpu } from "../shaders-test/harness.ts";
import { shippedModel } from "../src/cli/package.ts";
import { fmaChain } from "../src/generated/kernels.ts";
import { openGpu } from "../src/gpu/open_node.ts";
import { sourceKey } from "../src/gpu/profile.ts";
import { fill, full } from "../src/ops/fill.ts";
import { chromeTrace } from "../src/profile/chrome_trace.ts";
import { findings } from "../src/profile/findings.ts";
import { measure } from "../src/profile/measures.ts";
import { memoryCurve } from "../src/profile/memory_curve.ts";
import { profileWork } from "../src/profile/run.ts";
import { summarise } from "../src/profile/summary.ts";
import { openWork, workNames } from "../src/profile/workloads_node.ts";
import { samples } from "./cli_process.ts";
import { profileOf, roofs, row, savedProfile } from "./profile_rows.ts";

const gpu = await testGpu();

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.abs(expected), `${actual} instead of ${expected}`);

describe("gpu.profile", () => {
  test("tells submissions, memory by scope and the WGSL that ran", async () => {
    const profile = await gpu.profile(async () => {
      const kept = gpu.scope("first", () => full(gpu, [1024], 1));
      gpu.flush();
      gpu.scope("second", () => fill(kept, 2));
      await gpu.sync();
      kept.free();
    });
    assert.deepEqual(profile.submissions.map(({ dispatches }) => dispatches), [1, 1]);
    assert.ok(profile.submissions[0].startMs + profile.submissions[0].encodeMs <= profile.submissions[1].startMs);
    assert.ok(profile.submissions[1].startMs <= profile.wallMs);
    assert.deepEqual(profile.memory.events.map(({ scope, bytes }) => [scope, bytes]), [["first", 4096], ["first", -4096]]);
    assert.deepEqual(profile.rows.map(({ scope, submission }) => [scope, submission]), [["first", 0], ["second", 1]]);
    for (const of of profile.rows) {
      assert.match(profile.sources.get(sourceKey(of)) ?? "", /fn main\(/);
      const sent = profile.submissions[of.submission];
      if (gpu.has("timestamp-query")) assert.ok(of.startMs >= sent.startMs + sent.encodeMs - 1e-6, "no dispatch starts before it was submitted");
    }
  });

  test("without timestamps counts and says so", async () => {
    const other = await openGpu({ without: ["timestamp-query"] });
    const profile = await other.profile(() => void full(other, [16], 1));
    assert.equal(profile.quantumNs, 0);
    assert.match(profile.note ?? "", /no timestamp-query/);
    assert.deepEqual(profile.rows.map(({ ms, bytes }) => [ms, bytes]), [[0, 64]]);
    other.close();
  });

  test("leaves timestamps out where they are not wanted, without a note", async () => {
    const profile = await gpu.profile(() => void full(gpu, [16], 1), { timestamps: false });
    assert.deepEqual(profile.rows.map(({ ms }) => ms), [0]);
    if (gpu.has("timestamp-query")) assert.equal(profile.note, undefined);
  });

  test("fails with what the work throws, and no promise is left to fail after it", async () => {
    const other = await openGpu();
    const unhandled: unknown[] = [];
    const note = (error: unknown) => void unhandled.push(error);
    process.on("unhandledRejection", note);
    const stopped = new Error("stopped");
    await assert.rejects(other.profile(() => {
      full(other, [16], 1);
      other.flush();
      other.close(); // what waits for the timestamps fails
      throw stopped;
    }), (error) => error === stopped);
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
  });
});

test("the arithmetic that measures a device's peak is computed", async () => {
  const [count, rounds] = [70, 3];
  const x = gpu.tensor(Float32Array.from({ length: count }, (_, i) => i / count - 0.5), [count]);
  const y = gpu.empty([count]);
  gpu.run(fmaChain, { bindings: { x, y }, params: { count, rounds }, prelude: {}, grid: 2 });
  const reference = (round: (value: number) => number) =>
    Array.from({ length: count }, (_, i) => {
      const factor = Math.fround(i / count - 0.5);
      const chains = Array.from({ length: 12 }, (_, c) => c);
      for (let step = 0; step < 8 * rounds; step++) chains.forEach((value, c) => (chains[c] = round(round(value * factor) + 1)));
      return chains.reduce((sum, value) => round(sum + value), 0);
    });
  assertMatches(await y.read(), reference, "f32", "fma chain");
});

describe("measures", () => {
  test("judge a group by the roofs", () => {
    // 5e6 operations take 0.5 ms at 10 GFLOP/s, 1e5 bytes 0.1 ms at 1 GB/s.
    const of = measure([row({ ms: 1 }), row({ ms: 3 })], roofs, 8);
    assert.deepEqual([of.calls, of.ms, of.share, of.medianMs, of.leastMs, of.workgroups], [2, 4, 0.5, 2, 1, 8]);
    near(of.gflops, 2.5);
    near(of.gbps, 0.05);
    assert.equal(of.intensity, 50);
    near(of.roofShare, 0.25);
    near(of.headroomMs, 3);
    assert.equal(of.bound, "compute");
  });

  test("tell what limits a kernel", () => {
    assert.equal(measure([row({ flops: 0, bytes: 1e6 })], roofs, 1).bound, "memory");
    const empty = measure([row({ flops: 0, bytes: 4, ms: 0.02 })], roofs, 1);
    assert.equal(empty.bound, "dispatch");
    near(empty.headroomMs, 0.01);
  });

  test("give 0 where nothing was timed", () => {
    const of = measure([row({ ms: 0 })], roofs, 0);
    assert.deepEqual([of.share, of.gflops, of.roofShare, of.headroomMs], [0, 0, 0, 0]);
  });
});

describe("a summary", () => {
  const rows = [
    row({ scope: "a/x", startMs: 10, ms: 2 }),
    row({ scope: "a/y", startMs: 12.5, ms: 1, kernel: "norm/layer_norm", flops: 0 }),
    row({ scope: "b", startMs: 20, ms: 4, submission: 1, variant: "T=f16" }),
  ];
  const summary = summarise(profileOf(rows), roofs);

  test("groups by kernel, variant and scope", () => {
    assert.deepEqual(summary.kernels.map(({ kernel, ms, variants }) => [kernel, ms, variants.map(({ variant }) => variant)]), [["matmul/matmul_tiled", 6, ["T=f16", "T=f32"]], ["norm/layer_norm", 1, ["T=f32"]]]);
    assert.deepEqual(summary.scopes.map(({ scope, ms }) => [scope, ms]), [["a", 3], ["a/x", 2], ["a/y", 1], ["b", 4]]);
    assert.match(summary.wgsl[summary.kernels[1].variants[0].source], /layer_norm/);
  });

  test("tells gaps within submissions from waiting between them", () => {
    assert.deepEqual(summary.gpu, { spanMs: 14, busyMs: 7, gapMs: 0.5, medianGapMs: 0.5, idleMs: 6.5 });
  });

  test("finds what could be saved, the most first", () => {
    const found = findings(savedProfile(rows));
    assert.match(found[0].fact, /matmul_tiled takes 86 %.*arithmetic limits it/);
    assert.ok(found.some(({ fact }) => /waits for the next submission/.test(fact)));
  });

  test("tells a few slow calls from a slow kernel", () => {
    const [{ advice }] = findings(savedProfile([0.1, 0.1, 5, 0.1].map((ms, i) => row({ ms, startMs: 10 * i }))));
    assert.match(advice, /4\.90 ms of its 5\.30 are a few slow calls/);
  });
});

test("the memory curve keeps the peak and ends with what is left", () => {
  const events = Array.from({ length: 1000 }, (_, i) => [
    { ms: i / 10, scope: "a/b/c", bytes: i === 500 ? 5000 : 100, pooled: 0 },
    { ms: i / 10 + 0.01, scope: "a/b/c", bytes: i === 500 ? -5000 : -100, pooled: 100 },
  ]).flat();
  const curve = memoryCurve({ start: { pooled: 0, byScope: { weights: 1000 } }, events }, 100);
  assert.ok(curve.ms.length <= 2 * 240 + 1);
  assert.deepEqual(curve.peak, { bytes: 6000, ms: 50 });
  assert.deepEqual(curve.scopes.map(({ name }) => name), ["weights", "a/b"]);
  assert.equal(Math.max(...curve.scopes[1].bytes), 5000);
  assert.equal(curve.scopes[1].bytes.at(-1), 0);
});

test("a trace holds every dispatch, every submission and the memory", () => {
  const profile = profileOf([row({ startMs: 1, ms: 0.5 }), row({ submission: 1, startMs: 3 })]);
  const { traceEvents } = JSON.parse(chromeTrace(profile));
  const spans = traceEvents.filter(({ ph }: { ph: string }) => ph === "X");
  assert.deepEqual(spans.map(({ pid, ts, dur }: Record<string, number>) => [pid, ts, dur]), [[1, 1000, 500], [1, 3000, 1000], [2, 0, 1000], [2, 0, 1000]]);
  assert.deepEqual(traceEvents.filter(({ ph }: { ph: string }) => ph === "C").map(({ args }: { args: object }) => args), [{ live: 1024, pooled: 0 }]);
});

test("what is saved of a work names files, not places on this machine", async () => {
  for (const what of workNames) {
    const work = await openWork(gpu, { what, model: shippedModel, image: join(samples, "film_00.png"), phrase: "effusion", steps: 1, batch: "auto", dtype: "f32" });
    work.free();
    assert.equal(work.model, "phantom");
    assert.doesNotMatch(JSON.stringify(work), /[\\/]/, what);
  }
});

test("work is done three times, and what it compiles is counted", async () => {
  let runs = 0;
  const work = {
    what: "test", title: "a fill", model: "none", settings: {},
    async run() {
      runs++;
      gpu.scope("work", () => void full(gpu, [4096], 2));
    },
    free: () => undefined,
  };
  const { saved } = await profileWork(gpu, work, { version: "0" });
  assert.equal(runs, 3);
  assert.deepEqual([saved.total.calls, saved.host.dispatches, saved.scopes[0].scope, saved.kernels[0].kernel], [1, 1, "work", "pointwise/fill"]);
  assert.ok(saved.wall.pipelines <= 1 && saved.roofs.copyGBps > 0 && saved.roofs.fmaGflops > 0);
  assert.equal(saved.memory.peak.bytes >= 4 * 4096, true);
});
