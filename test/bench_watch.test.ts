import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type MakeCases, together } from "../bench/harness.ts";
import { watchKernel } from "../bench/tools/watch.ts";
import { testGpu } from "../shaders-test/harness.ts";
import { randomValues, upload } from "../shaders-test/values.ts";
import { packageRoot } from "../src/cli/package.ts";
import { addInto } from "../src/ops/accumulate.ts";
import { scale } from "../src/ops/pointwise.ts";
import { softmax } from "../src/ops/softmax.ts";
import { temporaryFolder } from "./cli_process.ts";

const gpu = await testGpu();

const cases: MakeCases = (device) => {
  const x = upload(device, randomValues(8 * 64, 1), [8, 64]);
  return (["workgroup", "naive"] as const).map((variant) => ({ name: "softmax 8x64", variant, flops: 8 * 64, bytes: 8 * 8 * 64, run: () => softmax(x, { variant }) }));
};

test("a watched kernel is judged at every save", async () => {
  const folder = join(temporaryFolder(), "kernels");
  cpSync(join(packageRoot, "kernels"), folder, { recursive: true });
  const file = join(folder, "norm", "softmax.wgsl");
  const source = readFileSync(file, "utf8");
  const controller = new AbortController();
  let lines: string[] = [];
  let arrived = () => {};
  const print = (line: string) => {
    lines.push(line);
    if (/^ {2}\d+\.\d s$|wgsl/.test(line)) arrived();
  };
  /** What is printed after a save. */
  const afterSaving = async (text: string) => {
    const done = new Promise<void>((resolve) => (arrived = resolve));
    lines = [];
    writeFileSync(file, text);
    await done;
    return lines[0];
  };
  const started = new Promise<void>((resolve) => (arrived = resolve));
  const watching = watchKernel({ gpu, kernel: "norm/softmax", kernelsFolder: folder, families: [cases], print, signal: controller.signal });
  await started;
  assert.match(lines[0], /norm\/softmax: watching .*; softmax 8x64/);
  assert.match(lines[1], /softmax 8x64: right, .* x as fast as naive/);

  const last = /y\[[^\]]+\] = [^;]+;(?![\s\S]*y\[)/;
  assert.match(await afterSaving(source.replace(last, (line) => `${line.replace(" = ", " = 1.01 * (").slice(0, -1)});`)), /WRONG, error 1\.0e-2/);
  assert.match(await afterSaving(source.replace("fn main(", "fn main(;")), /kernels\/norm\/softmax\.wgsl:\d+: /);
  assert.match(await afterSaving(source.replace("struct Params {", "struct Params {\n  more: u32,")), /norm\/softmax\.wgsl: its bindings, params or prelude are no longer/);
  assert.match(await afterSaving(source), /softmax 8x64: right, .* x as fast as last/);
  controller.abort();
  await watching;
});

test("a kernel that changes tensors in place is checked on fresh ones, and not at all where none are returned", async () => {
  const sums: MakeCases = (device) => {
    const [x, start] = [1, 2].map((seed) => upload(device, randomValues(64, seed), [64]));
    const sum = scale(start, 1);
    const shared = { variant: "", flops: 64, bytes: 12 * 64, run: () => (addInto(sum, x), together([])) };
    return [{ ...shared, name: "seen", runAfresh: () => addInto(scale(start, 1), x) }, { ...shared, name: "unseen" }];
  };
  const lines: string[] = [];
  const controller = new AbortController();
  const print = (line: string) => {
    lines.push(line);
    if (/^ {2}\d+\.\d s$/.test(line)) controller.abort();
  };
  await watchKernel({ gpu, kernel: "pointwise/add_into_vec4", kernelsFolder: join(packageRoot, "kernels"), families: [sums], print, signal: controller.signal });
  assert.match(lines[1], /^ {2}seen: right, error 0\.0e\+0 /);
  assert.match(lines[2], /^ {2}unseen: not checked; /);
});

test("a kernel that no case uses is refused", async () => {
  const { signal } = new AbortController();
  await assert.rejects(watchKernel({ gpu, kernel: "conv/conv2d_naive", kernelsFolder: "kernels", families: [cases], print: () => undefined, signal }), /conv\/conv2d_naive: no bench case uses it/);
});
