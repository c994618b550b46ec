import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { changeValue, copyGoldens } from "./golden_folders.ts";
import { needsShared } from "./shared.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function attnscope(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "src/cli/main.ts", ...args], { cwd: root, encoding: "utf8", env: { ...process.env, ATTNSCOPE_TUNING: "off", ...env } });
  return { status, stdout, stderr };
}

const goldens = needsShared("goldens");

test("verify --json prints one object, with one entry a golden", goldens, () => {
  const folder = copyGoldens(["ddim.safetensors", "tokenizer_clip.json"], ["tiny_ldm", "clip_tokenizer"]);
  const { status, stdout } = attnscope(["verify", folder, "--json"]);
  const report = JSON.parse(stdout);
  assert.deepEqual(report.goldens.map(({ name }: { name: string }) => name), ["tokenizer_clip", "ddim"]);
  for (const golden of report.goldens) {
    assert.equal(golden.ok, true);
    assert.ok(golden.error <= golden.bound);
    assert.ok(golden.seconds >= 0);
  }
  assert.equal(status, 0);
});

test("verify prints a table and ends with 1 on a miss", goldens, () => {
  const folder = copyGoldens(["ddim.safetensors"], ["tiny_ldm"]);
  changeValue(join(folder, "ddim.safetensors"), "add_noise.500", 3, (value) => -value);
  const { status, stdout } = attnscope(["verify", folder]);
  assert.match(stdout, /^ddim +MISS .*1 of \d+ parts are out of bounds, first add_noise\.500$/m);
  assert.match(stdout, /^1 of 1 not ok$/m);
  assert.equal(status, 1);
});

test("verify ends with 2 where there is nothing to verify", () => {
  const { status, stdout, stderr } = attnscope(["verify", "/nowhere", "--json"]);
  assert.match(stderr, /^attnscope: \/nowhere: is not a folder that can be read/m);
  assert.equal(stdout, "");
  assert.equal(status, 2);
});

test("doctor finds the device and every check within its bound", () => {
  const { status, stdout } = attnscope(["doctor", "--json"]);
  const report = JSON.parse(stdout);
  assert.equal(status, 0, stdout);
  assert.equal(report.ok, true);
  assert.ok(report.device.selfTest.length > 5);
  assert.ok(report.device.peaks.copyGBps > 0 && report.device.peaks.matmulGflops > 0);
  assert.match(report.versions.webgpu, /^\d+\.\d+/);
});

test("doctor says what to install where there is no adapter", { skip: process.platform !== "linux" && "the loader of Vulkan drivers is that of Linux" }, () => {
  const { status, stdout, stderr } = attnscope(["doctor", "--json"], { VK_DRIVER_FILES: "/nowhere", VK_ICD_FILENAMES: "/nowhere" });
  const report = JSON.parse(stdout);
  assert.equal(report.ok, false);
  assert.equal(report.device, null);
  assert.match(report.advice[0], /install/);
  assert.match(stderr, /^attnscope: there is no device that can be used; .*install/m);
  assert.equal(status, 3);
});
