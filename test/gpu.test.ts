import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { testGpu } from "../shaders-test/harness.ts";
import { CompileError, DeviceError, OutOfMemoryError, ShapeError } from "../src/errors.ts";
import type { Kernel } from "../src/gpu/kernel.ts";
import { openGpu } from "../src/gpu/open_node.ts";
import { fill, full, zeros } from "../src/ops/fill.ts";
import { scale } from "../src/ops/pointwise.ts";

const gpu = await testGpu();

test("a tensor comes back as it was written", async () => {
  const data = Float32Array.from({ length: 1000 }, (_, i) => i / 3);
  assert.deepEqual(await gpu.tensor(data, [10, 100]).read(), data);
  const odd = Uint16Array.of(0x3c00, 0x4000, 0xc000);
  if (gpu.has("shader-f16")) assert.deepEqual(await gpu.tensor(odd, [3]).read(), Float32Array.of(1, 2, -2));
});

test("a grid past 65,535 workgroups is folded", async () => {
  const count = 64 * 65_535 + 777;
  const values = await full(gpu, [count], 3).read();
  assert.ok(values.every((value) => value === 3));
});

test("writes and dispatches keep their order", async () => {
  const x = zeros(gpu, [4]);
  x.write(Float32Array.of(1, 2, 3, 4));
  assert.deepEqual(await x.read(), Float32Array.of(1, 2, 3, 4));
  fill(x, 7);
  assert.deepEqual(await x.read(), Float32Array.of(7, 7, 7, 7));
});

test("scopes free what they made, keep what they return, and name errors", () => {
  const before = gpu.memory().live;
  const kept = gpu.scope("outer", () => gpu.scope("inner", () => ({ kept: zeros(gpu, [1024]), lost: zeros(gpu, [1024]).size })).kept);
  assert.equal(gpu.memory().live - before, 4096);
  assert.equal(gpu.memory().byScope["outer/inner"], 4096);
  kept.free();
  assert.equal(gpu.memory().live, before);
  assert.throws(() => gpu.scope("layer", () => kept.read()), /freed tensor.*\(layer\)/);
  assert.throws(() => gpu.scope("layer", () => fill(gpu.tensor(Uint32Array.of(1), [1]), 0)), ShapeError);
});

test("views share a buffer and keep it alive", async () => {
  const x = gpu.tensor(Float32Array.from({ length: 192 }, (_, i) => i), [3, 64]);
  const row = x.rows(1, 2);
  x.free();
  assert.equal((await row.read())[0], 64);
  row.free();
  assert.throws(() => gpu.tensor(new Float32Array(9), [3, 3]).rows(1, 2), /multiple of 256/);
});

test("a step is recorded once and replayed without growth", async () => {
  const step = gpu.record("step", () => {
    const scratch = gpu.scope("scratch", () => zeros(gpu, [256]).size);
    assert.equal(scratch, 256);
    return full(gpu, [256], 5);
  });
  assert.equal(step.dispatches, 2);
  assert.equal(step.bytes, 1024, "the freed scratch buffer serves the result");
  step.replay();
  assert.ok((await step.result.read()).every((value) => value === 5));
  const live = gpu.memory().live;
  for (let i = 0; i < 50; i++) step.replay();
  await gpu.sync();
  assert.equal(gpu.memory().live, live);
  step.free();
  assert.throws(() => step.replay(), /replay: the step step was freed/);
});

/** Bytes that JavaScript holds once all work is done and all garbage is gone. */
async function heldBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  await gpu.sync();
  for (let i = 0; i < 3; i++) {
    await new Promise(setImmediate); // promises of the last submissions settle, finalizers run
    collectGarbage();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test("a thousand replays leave nothing behind in JavaScript", async () => {
  const step = gpu.record("step", () => {
    const x = full(gpu, [64], 1);
    for (let i = 0; i < 19; i++) fill(x, i);
    return x;
  });
  const replay = async (times: number) => {
    for (let i = 1; i <= times; i++) {
      step.replay();
      if (i % 50 === 0) await gpu.sync();
    }
  };
  await replay(200);
  const before = await heldBytes();
  await replay(1000);
  const growth = (await heldBytes()) - before;
  // Ten bytes a dispatch: less than any object or promise that was kept for each; what is measured without one is 50 KB at most.
  assert.ok(growth < 200_000, `${growth} bytes more`);
  step.free();
});

test("tensors of a step share buffers of other sizes when their times are over", async () => {
  const step = gpu.record("step", () => {
    const small = gpu.scope("large", () => {
      const large = full(gpu, [3072], 1);
      const sum = full(gpu, [1024], 2);
      large.free();
      return sum;
    });
    return [small, full(gpu, [2048], 3)];
  });
  const [small, medium] = step.result;
  assert.equal(step.bytes, 12_288 + 4096, "the last tensor takes over the first one's buffer");
  for (let i = 0; i < 2; i++) {
    step.replay();
    assert.ok((await small.read()).every((value) => value === 2));
    assert.ok((await medium.read()).every((value) => value === 3));
  }
  medium.write(new Float32Array(2048).fill(4));
  assert.ok((await medium.read()).every((value) => value === 4));
  step.free();
  assert.throws(() => gpu.record("written", () => gpu.tensor(Float32Array.of(1), [1])), /write its tensors after that/);
});

test("buffers are reused, and trimming gives pooled bytes back", () => {
  zeros(gpu, [1 << 20]).free();
  assert.ok(gpu.memory().pooled >= 4 << 20);
  gpu.trim();
  assert.equal(gpu.memory().pooled, 0);
});

test("a budget is kept", async () => {
  const small = await openGpu({ memoryBudget: 1 << 20 });
  const x = small.empty([1 << 17]);
  assert.throws(() => small.scope("big", () => small.empty([1 << 18])), (error: Error) => error instanceof OutOfMemoryError && /1\.0 MiB requested, 0\.5 MiB live.*big/.test(error.message));
  x.free();
  small.empty([1 << 18]);
  small.close();
  small.close();
  assert.throws(() => small.empty([1]), DeviceError);
});

test("at the budget, work that was not yet submitted keeps the buffers that it uses", async () => {
  const small = await openGpu({ memoryBudget: 1 << 20 });
  const doubled = small.scope("double", () => scale(full(small, [1 << 16], 3), 2));
  const { pooled } = small.memory();
  small.empty([160 << 10]);
  assert.deepEqual([pooled, small.memory().pooled], [1 << 18, 0], "what the scope freed had to be given back");
  assert.ok((await doubled.read()).every((value) => value === 6));
  small.close();
});

test("a kernel that does not compile names file and line", async () => {
  const broken: Kernel<never, Record<string, never>, never, Record<string, never>> = {
    name: "test/broken",
    parts: [
      { file: "lib/first.wgsl", source: "fn helper() {}\n" },
      { file: "test/broken.wgsl", source: "// a comment\n@compute @workgroup_size(1)\nfn main() { let x: u32 = 1.5; }\n" },
    ],
    enables: [], bindings: [], params: [], paramsBytes: 0, aliases: [], consts: [],
  };
  gpu.run(broken, { bindings: {}, params: {}, prelude: {}, grid: 1 });
  await assert.rejects(gpu.sync(), (error: Error) => error instanceof CompileError && error.message.startsWith("kernels/test/broken.wgsl:3:"));
  await gpu.sync();
});

test("profile times every dispatch under its scope", async () => {
  const profile = await gpu.profile(() => {
    gpu.scope("timed", () => fill(gpu.empty([1 << 16]), 1));
  });
  if (!gpu.has("timestamp-query")) return assert.match(profile.note ?? "", /no timestamp-query/);
  assert.equal(profile.rows.length, 1);
  const [row] = profile.rows;
  assert.deepEqual([row.scope, row.kernel, row.bytes], ["timed", "pointwise/fill", 4 << 16]);
});

test("a lost device is reported with its last scopes", async () => {
  const lost = await openGpu();
  lost.scope("last words", () => fill(lost.empty([4]), 1));
  await lost.sync();
  lost.device.destroy();
  await lost.device.lost;
  assert.throws(() => lost.empty([4]), /device lost.*last words/);
  lost.close();
});

test("a plan counts dispatches, operations and bytes, and runs nothing", async () => {
  const before = { ...gpu.memory(), flops: gpu.flopsSubmitted };
  const plan = gpu.plan(() => {
    gpu.scope("freed", () => full(gpu, [1024], 1).size);
    gpu.scope("large", () => {
      gpu.empty([1024]);
      return fill(gpu.tensor(new Float32Array(2048), [2048]), 2);
    });
  });
  const largestBinding = { bytes: 8192, kernel: "pointwise/fill", scope: "large" };
  assert.deepEqual(plan, { dispatches: 2, flops: 0, peakBytes: 12_288, byScope: { large: 12_288 }, stepBytes: 12_288, largestBinding });
  assert.equal(gpu.memory().live, before.live);
  assert.equal(gpu.flopsSubmitted, before.flops);
});

test("closing leaves the caller's device alive and its memory free of ours", async () => {
  const owner = await openGpu();
  const borrowed = await openGpu({ device: owner.device });
  const x = full(borrowed, [16], 1);
  await borrowed.sync();
  borrowed.close();
  assert.throws(() => fill(x, 2), /closed/);
  assert.deepEqual(await full(owner, [2], 3).read(), Float32Array.of(3, 3));
  owner.close();
});
