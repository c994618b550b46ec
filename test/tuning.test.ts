import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { testGpu } from "../shaders-test/harness.ts";
import { CompileError, DeviceLostError, InputError } from "../src/errors.ts";
import { openPlanner } from "../src/gpu/planner.ts";
import type { ChoosingOp, VariantChoice, VariantChoices } from "../src/gpu/variant_choices.ts";
import { attention, crossAttention } from "../src/ops/attention.ts";
import { planConv2d } from "../src/ops/conv.ts";
import { planMatmul } from "../src/ops/matmul.ts";
import { planGroupNorm, planLayerNorm } from "../src/ops/norm.ts";
import { planSoftmax } from "../src/ops/softmax.ts";
import { type MeasuredClass, type MeasuredWork, measureVariants } from "../src/tuning/measure.ts";
import { tuningTable } from "../src/tuning/table.ts";
import { type Tuning, formatTuning, parseTuning, tunedChoices, tuningFormat } from "../src/tuning/tuning_file.ts";
import { findTuning, writeTuning } from "../src/tuning/tuning_node.ts";
import { runCli, temporaryFolder } from "./cli_process.ts";

const device = { software: true, subgroupLanes: 8 };

/** Choices that take the last candidate, and what they were asked. */
function lastCandidates(): { choices: VariantChoices; asked: [ChoosingOp, string, string[]][] } {
  const asked: [ChoosingOp, string, string[]][] = [];
  return { asked, choices: { chosen: (op, shapeClass, candidates) => (asked.push([op, shapeClass, [...candidates]]), candidates.at(-1)) } };
}

describe("plans take what was measured", () => {
  const convolution = (batches: number, c_out: number) => ({ batches, height: 20, width: 20, c1: 40, c2: 20, out_height: 20, out_width: 20, c_out, kernel: [3, 3] as const, padding: [1, 1] as const, stride: 1 });

  test("products, rows and group norms ask for their class and take the answer", () => {
    const { choices, asked } = lastCandidates();
    const measured = { ...device, choices };
    assert.equal(planConv2d(convolution(2, 64), measured).kernel.name, "conv/conv2d_tiled");
    assert.equal(planMatmul("linear", { batches: 1, M: 2048, N: 100, K: 320, itemRows: 1000 }, false, measured).kernel.name, "matmul/matmul_tiled");
    assert.equal(planLayerNorm(10, 320, measured).kernel.name, "norm/layer_norm");
    assert.equal(planSoftmax(10, 77, measured).kernel.name, "norm/softmax");
    assert.equal(planGroupNorm({ batches: 1, positions: 400, c1: 64, c2: 0, groups: 32 }, measured).variant, "workgroup");
    assert.deepEqual(asked, [
      ["conv2d", "3x3 32x32 64>64", ["subgroup", "vector", "tiled"]],
      ["linear", "1024 rows 512>128", ["subgroup", "vector", "tiled"]],
      ["layerNorm", "rows of 512", ["subgroup", "naive", "workgroup"]],
      ["softmax", "rows of 128", ["naive", "workgroup"]],
      ["groupNorm", "512 positions, 64 channels, 32 groups", ["serial", "workgroup"]],
    ]);
  });

  test("the batch is not part of a class: an item's result must not depend on it", () => {
    const classes = [1, 7].map((batch) => planConv2d(convolution(batch, 64), device).choice.shapeClass);
    assert.equal(classes[0], classes[1]);
  });

  test("a caller's variant comes first, and the default where nothing was measured", () => {
    const { choices, asked } = lastCandidates();
    assert.equal(planConv2d(convolution(1, 64), { ...device, choices }, "naive").choice.variant, "naive");
    assert.deepEqual(asked, []);
    assert.equal(planConv2d(convolution(1, 64), device).choice.variant, "subgroup");
    const elsewhere = tunedChoices({ choices: { conv2d: { "3x3 16x16 64>64": { variant: "tiled" } } } });
    assert.equal(planConv2d(convolution(1, 64), { ...device, choices: elsewhere }).choice.variant, "subgroup");
  });

  test("attention never asks for the naive kernel, unless nothing else takes the shape", () => {
    const { choices, asked } = lastCandidates();
    const planner = openPlanner({ software: true, features: ["subgroups"], subgroupLanes: 8 });
    planner.variantChoices = choices;
    planner.plan(() => {
      const [q, few, many] = [64, 77, 300].map((rows) => planner.empty([2, rows, 80]));
      attention(q, q, q, { heads: 2 });
      crossAttention(q, few, few, { heads: 2 });
      crossAttention(q, many, many, { heads: 2 });
    });
    assert.deepEqual(asked, [
      ["attention", "64 queries, 64 keys, 2 heads of 64", ["lanes", "tiles"]],
      ["crossAttention", "64 queries, 128 keys, 2 heads of 64", ["lanes", "tiles"]],
      ["crossAttention", "64 queries, 512 keys, 2 heads of 64", ["naive"]],
    ]);
  });
});

describe("the tuner", () => {
  type Times = Record<string, (pass: number) => number>;

  /** Work of one dispatch an entry, whose candidates take these times; `fails` gives an error for what was taken. */
  function fakeWork(ops: { op: ChoosingOp; shapeClass: string; times: Times }[], fails: (taken: string[]) => Error | undefined = () => undefined): MeasuredWork {
    let pass = 0;
    return async (choices) => {
      const rows = ops.map(({ op, shapeClass, times }) => {
        const candidates = Object.keys(times);
        const variant = choices.chosen(op, shapeClass, candidates) ?? candidates[0];
        return { choice: { op, shapeClass, variant }, ms: times[variant](pass) };
      });
      pass++;
      const failure = fails(rows.map(({ choice: { op, variant } }) => `${op} ${variant}`));
      if (failure) throw failure;
      return [...rows, { choice: undefined, ms: 1000 }];
    };
  }

  const takes = (ms: number) => () => ms;

  test("takes the fastest of each class on its own, and sums up its dispatches", async () => {
    const conv = { op: "conv2d", shapeClass: "a", times: { subgroup: takes(2), vector: takes(1), tiled: takes(5) } } as const;
    const other = { op: "conv2d", shapeClass: "b", times: { subgroup: takes(2), vector: takes(3), tiled: takes(5) } } as const;
    const { classes, notes } = await measureVariants(fakeWork([conv, conv, other]), { rounds: 2 });
    assert.deepEqual(notes, []);
    assert.deepEqual(classes.map(({ shapeClass, chosen, gain }) => [shapeClass, chosen, gain]), [["a", "vector", 0.5], ["b", "subgroup", 0]]);
    assert.deepEqual(classes[0].candidates.map(({ variant, medianMs }) => [variant, medianMs]), [["subgroup", 4], ["vector", 2], ["tiled", 10]]);
    assert.match(tuningTable(classes), /conv2d +a +subgroup 4\.00 ± 0\.000, vector 2\.00 .* vector +50 %\n.*b .* subgroup +default/s);
  });

  test("leaves the default where the gain is small, or within the noise", async () => {
    const small = { op: "softmax", shapeClass: "small", times: { subgroup: takes(1), workgroup: takes(0.96) } } as const;
    const noisy = { op: "softmax", shapeClass: "noisy", times: { subgroup: takes(2), workgroup: (pass: number) => [1, 1.5, 2.5][(pass >> 1) % 3] } } as const;
    const { classes } = await measureVariants(fakeWork([small, noisy]), { rounds: 6 });
    assert.deepEqual(classes.map(({ chosen, gain }) => [chosen, gain]), [["subgroup", 0], ["subgroup", 0]]);
  });

  test("does not count a candidate's first time, in which it is compiled", async () => {
    const slowFirst = (ms: number, first: number) => (pass: number) => (pass === first ? 1000 : ms);
    const { classes } = await measureVariants(fakeWork([{ op: "softmax", shapeClass: "a", times: { subgroup: slowFirst(2, 0), workgroup: slowFirst(1, 1) } }]), { rounds: 1 });
    assert.deepEqual(classes[0].candidates.map(({ medianMs }) => medianMs), [2, 1]);
  });

  test("leaves out what does not run, with a note, and goes on", async () => {
    const times = { subgroup: takes(3), vector: takes(2), tiled: takes(1) };
    const work = fakeWork([{ op: "conv2d", shapeClass: "a", times }, { op: "linear", shapeClass: "a", times }], (taken) => (taken.includes("conv2d tiled") ? new CompileError("kernels/x.wgsl:3: no") : undefined));
    const { classes, notes } = await measureVariants(work, { rounds: 2 });
    assert.deepEqual(notes, ["conv2d does not run as tiled here: kernels/x.wgsl:3: no"]);
    assert.deepEqual(classes.map(({ chosen, candidates }) => [chosen, candidates.length]), [["vector", 2], ["tiled", 3]]);
  });

  test("fails where the defaults do, where the device is lost, and where no single variant is at fault", async () => {
    const ops = [{ op: "softmax", shapeClass: "a", times: { subgroup: takes(1), workgroup: takes(1) } }, { op: "layerNorm", shapeClass: "a", times: { subgroup: takes(1), workgroup: takes(1) } }] as const;
    const failing = (error: Error, when: (taken: string[]) => boolean) => measureVariants(fakeWork([...ops], (taken) => (when(taken) ? error : undefined)), { rounds: 1 });
    await assert.rejects(failing(new CompileError("always"), () => true), /always/);
    await assert.rejects(failing(new DeviceLostError("gone", []), (taken) => taken.includes("softmax workgroup")), DeviceLostError);
    await assert.rejects(failing(new CompileError("together"), (taken) => taken.every((of) => of.endsWith("workgroup"))), /together/);
  });
});

const adapter = { vendor: "a vendor", architecture: "", device: "card (2)", description: "driver 1", software: false };

function tuning(of: Partial<Tuning> = {}): Tuning {
  return {
    format: tuningFormat, adapter: "a vendor card (2)", driver: "driver 1", version: "1.2.3", date: "2026-01-02T03:04:05.000Z",
    choices: { conv2d: { "3x3 32x32 64>64": { variant: "vector", ms: { tiled: 2, vector: 1 } } }, softmax: { "rows of 128": { variant: "naive" } } },
    ...of,
  };
}

describe("the file of a tuning", () => {
  test("comes back as it was written, a line a shape class", () => {
    const text = formatTuning(tuning());
    assert.deepEqual(parseTuning("tuning.json", text), tuning());
    assert.match(text, /^ {6}"3x3 32x32 64>64": \{"variant":"vector","ms":\{"tiled":2,"vector":1\}\}$/m);
    assert.deepEqual(parseTuning("tuning.json", formatTuning(tuning({ choices: {} }))).choices, {});
  });

  test("a variant that a shape cannot run leaves the default to it", () => {
    const { chosen } = tunedChoices(tuning());
    assert.equal(chosen("conv2d", "3x3 32x32 64>64", ["tiled", "vector"]), "vector");
    assert.equal(chosen("conv2d", "3x3 32x32 64>64", ["tiled", "subgroup"]), undefined);
    assert.equal(chosen("conv2d", "constructor", ["tiled", "vector"]), undefined);
  });

  test("a bad edit is one line that names the place", () => {
    const edited = (of: object) => JSON.stringify({ ...tuning(), ...of });
    const bad: [string, RegExp][] = [
      ["{", /is not JSON/],
      ["null", /is not an "attnscope tuning 1"/],
      [edited({ format: "attnscope tuning 0" }), /is not an "attnscope tuning 1"/],
      [edited({ driver: 1 }), /driver is not a text/],
      [edited({ choices: [] }), /choices is not an object/],
      [edited({ choices: { convolve: {} } }), /unknown op convolve, not one of matmul, linear/],
      [edited({ choices: { toString: {} } }), /unknown op toString/],
      [edited({ choices: { softmax: null } }), /choices\.softmax is not an object/],
      [edited({ choices: { softmax: { "rows of 8": { variant: "fast" } } } }), /choices\.softmax\["rows of 8"\] is "fast", not one of subgroup, workgroup, naive/],
      [edited({ choices: { conv2d: { a: { variant: "naive" } } } }), /choices\.conv2d\["a"\] is "naive"/],
      [edited({ choices: { conv2d: { a: null } } }), /choices\.conv2d\["a"\] is undefined/],
    ];
    for (const [text, expected] of bad) {
      assert.throws(() => parseTuning("tuning.json", text), (error: Error) => error instanceof InputError && expected.test(error.message) && /^tuning\.json: [^\n]*$/.test(error.message), String(expected));
    }
  });

  test("counts on its adapter and driver alone, and not where it is switched off", async (t) => {
    const before = { ...process.env };
    t.after(() => Object.assign(process.env, { ATTNSCOPE_TUNING: "", XDG_CACHE_HOME: "" }, before));
    Object.assign(process.env, { ATTNSCOPE_TUNING: "", XDG_CACHE_HOME: temporaryFolder() });
    assert.match((await findTuning(adapter)).state, /^none/);
    const file = await writeTuning(adapter, tuning());
    assert.match(file, /attnscope[/\\]tuning-a-vendor-card-2\.json$/);
    assert.deepEqual((await findTuning(adapter)).tuning, tuning());
    assert.match((await findTuning(adapter)).state, /^used, .*tuning-a-vendor-card-2\.json of 2026-01-02$/);
    assert.deepEqual(await findTuning({ ...adapter, description: "driver 2" }), { state: `ignored, ${file} is of another driver (driver 1); run attnscope tune again` });
    assert.match((await findTuning({ ...adapter, device: "other" })).state, /^none/);
    process.env.ATTNSCOPE_TUNING = "off";
    assert.deepEqual(await findTuning(adapter), { state: "ignored, ATTNSCOPE_TUNING is off" });
  });
});

const gpu = await testGpu();

test("attnscope tune writes what other commands take", { skip: !gpu.has("timestamp-query") && "this device has no timestamps" }, async () => {
  const place = { cache: temporaryFolder(), env: { ATTNSCOPE_TUNING: "" } };
  const { code, stdout, stderr } = await runCli(["tune", "--rounds", "2", "--json"], place);
  assert.equal(code, 0, stderr);
  const { file, classes }: { file: string; classes: MeasuredClass[] } = JSON.parse(stdout);
  const ops = new Set(classes.map(({ op }) => op));
  for (const op of ["conv2d", "linear", "geglu", "groupNorm", "crossAttention"] as const) assert.ok(ops.has(op), `${op} was not measured`);
  assert.ok(classes.every(({ candidates }) => candidates.every(({ medianMs }) => medianMs > 0)));
  assert.match(stderr, /of \d+ choices beat the default/);

  // Whatever was fastest: an edit to the second candidate of each class must show.
  const written = parseTuning(file, readFileSync(file, "utf8"));
  const second = new Map(classes.filter(({ op }) => op === "linear").map(({ shapeClass, candidates }) => [shapeClass, candidates[1].variant]));
  const linear = Object.fromEntries([...second].map(([shapeClass, variant]) => [shapeClass, { variant }]));
  writeFileSync(file, formatTuning({ ...written, choices: { ...written.choices, linear } }));
  const profile = await runCli(["profile", "--what", "text", "--steps", "1", "--json"], place);
  assert.equal(profile.code, 0, profile.stderr);
  const calls: { choice?: VariantChoice }[] = JSON.parse(profile.stdout).calls;
  const linears = calls.flatMap(({ choice }) => (choice?.op === "linear" ? [choice] : []));
  assert.ok(linears.length > 0);
  for (const choice of linears) assert.equal(choice.variant, second.get(choice.shapeClass), choice.shapeClass);

  writeFileSync(file, formatTuning({ ...written, choices: { linear: { a: { variant: "quick" } } } }));
  const broken = await runCli(["profile", "--what", "text", "--steps", "1"], place);
  assert.deepEqual([broken.code, /tuning-.*\.json: the variant of choices\.linear\["a"\] is "quick"/.test(broken.stderr)], [2, true], broken.stderr);
});
