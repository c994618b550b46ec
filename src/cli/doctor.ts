import { createRequire } from "node:module";
import { totalmem } from "node:os";
import { join, relative } from "node:path";
import type { Command } from "commander";
import { adapterAdvice, describeMachine } from "../../scripts/adapter/machine.mjs";
import { NoAdapterError } from "../errors.ts";
import type { AdapterFacts, Gpu } from "../gpu/gpu.ts";
import { adapterName } from "../gpu/open.ts";
import { scale } from "../ops/pointwise.ts";
import { type Peaks, measurePeaks } from "../peaks.ts";
import { openGpu } from "../tuning/open_gpu_node.ts";
import { findTuning } from "../tuning/tuning_node.ts";
import { type Part, passes } from "../verify/parts.ts";
import { selfTest } from "../verify/self_test.ts";
import { CheckFailed, createCommand, printJson } from "./command.ts";
import { packageRoot, version } from "./package.ts";

/** What the doctor finds. */
interface Report {
  /** Whether there is a device and every check of the self-test passed. */
  ok: boolean;
  versions: Record<string, string>;
  machine: string;
  device: DeviceReport | null;
  /** What to install or to know where something is missing, one line each. */
  advice: string[];
}

interface DeviceReport {
  adapter: AdapterFacts;
  features: Record<(typeof features)[number], boolean>;
  limits: Record<(typeof limits)[number], number>;
  /** Greatest common divisor of raw timestamps: 1 where they are exact, 0 where there are none. */
  timestampQuantumNs: number;
  /** Whether kernels are chosen by measurement, in words. */
  tuning: string;
  peaks: Peaks;
  selfTest: (Part & { ok: boolean })[];
}

const features = ["shader-f16", "subgroups", "timestamp-query"] as const;
const limits = ["maxBufferSize", "maxStorageBufferBindingSize", "maxStorageBuffersPerShaderStage", "maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup", "maxComputeWorkgroupsPerDimension"] as const;

export function doctorCommand(): Command {
  return createCommand("doctor", "what this machine's GPU can do, and what to install where something is missing", "doctor").action(doctor);
}

async function doctor(options: { json?: boolean }): Promise<void> {
  const { report, failure } = await examine();
  if (options.json) printJson(report);
  else for (const line of describe(report)) process.stdout.write(`${line}\n`);
  if (failure) throw failure;
  if (!report.ok) throw new CheckFailed("the self-test is out of bounds");
}

/** Looks at the machine, and at the device where there is one; `failure` says why there is none. */
async function examine(): Promise<{ report: Report; failure?: NoAdapterError }> {
  const webgpu = webgpuVersion();
  const about = { versions: { attnscope: version, webgpu: webgpu ?? "not installed", node: process.version }, machine: `${process.platform} ${process.arch}, ${gib(totalmem())} of memory` };
  try {
    const gpu = await openGpu();
    try {
      const device = await examineDevice(gpu);
      return { report: { ok: device.selfTest.every(({ ok }) => ok), ...about, device, advice: adviceFor(device) } };
    } finally {
      gpu.close();
    }
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    const advice = webgpu === undefined ? "type: npm install webgpu" : installAdvice();
    return { report: { ok: false, ...about, device: null, advice: [advice] }, failure: new NoAdapterError(`there is no device that can be used; ${advice}`, { cause: error }) };
  }
}

function webgpuVersion(): string | undefined {
  try {
    return createRequire(import.meta.url)("webgpu/package.json").version;
  } catch {
    return undefined;
  }
}

async function examineDevice(gpu: Gpu): Promise<DeviceReport> {
  return {
    adapter: gpu.adapter,
    features: Object.fromEntries(features.map((name) => [name, gpu.has(name)])) as DeviceReport["features"],
    limits: Object.fromEntries(limits.map((name) => [name, gpu.limits[name]])) as DeviceReport["limits"],
    timestampQuantumNs: await timestampQuantum(gpu),
    tuning: (await findTuning(gpu.adapter)).state,
    peaks: await measurePeaks(gpu),
    selfTest: (await selfTest(gpu)).map((part) => ({ ...part, ok: passes(part) })),
  };
}

async function timestampQuantum(gpu: Gpu): Promise<number> {
  const profile = await gpu.profile(() => gpu.scope("doctor", () => {
    let x = gpu.tensor(new Float32Array(4096), [4096]);
    for (let i = 0; i < 32; i++) x = scale(x, 1);
  }));
  return profile.quantumNs;
}

/** The command that installs an adapter, or a faster one. */
function installAdvice(): string {
  return adapterAdvice(describeMachine(), relative(process.cwd(), join(packageRoot, "scripts", "setup.mjs")));
}

function adviceFor({ adapter, features: has, timestampQuantumNs }: DeviceReport): string[] {
  const advice: string[] = [];
  const text = `${adapter.device} ${adapter.description}`.toLowerCase();
  if (text.includes("swiftshader")) advice.push(`SwiftShader is the slowest adapter: ${installAdvice()}`);
  else if (adapter.software) advice.push("this adapter computes on the CPU; a GPU with its driver installed is many times faster");
  if (!has["shader-f16"]) advice.push("no shader-f16: --dtype f16 cannot be used; a newer driver may bring it");
  if (!has.subgroups) advice.push("no subgroups: slower kernels are used; a newer driver may bring them");
  if (timestampQuantumNs !== 1) advice.push(timestampQuantumNs === 0 ? "no timestamp-query: profiles have no times" : `timestamps are rounded to ${timestampQuantumNs} ns`);
  return advice;
}

function describe({ versions, machine, device, advice }: Report): string[] {
  return [
    ...Object.entries(versions).map(([name, value]) => field(name, value)),
    field("machine", machine),
    ...(device ? describeDevice(device) : [field("adapter", "none")]),
    ...advice.map((line) => field("advice", line)),
  ];
}

function describeDevice({ adapter, features: has, limits: most, timestampQuantumNs, tuning, peaks, selfTest: parts }: DeviceReport): string[] {
  const kind = adapter.software ? "computes on the CPU" : "GPU";
  return [
    field("adapter", `${adapterName(adapter)} (${kind})`),
    field("driver", adapter.description),
    field("features", features.map((name) => `${name} ${has[name] ? "yes" : "no"}`).join(", ")),
    field("timestamps", timestampQuantumNs === 1 ? "exact" : timestampQuantumNs === 0 ? "none" : `rounded to ${timestampQuantumNs} ns`),
    field("tuning", tuning),
    field("copy", `${peaks.copyGBps.toFixed(1)} GB/s`),
    field("fma", `${peaks.fmaGflops.toFixed(1)} GFLOP/s`),
    field("matmul", `${peaks.matmulGflops.toFixed(1)} GFLOP/s`),
    ...limits.map((name) => field(name, name.endsWith("Size") && most[name] >= 2 ** 20 ? gib(most[name]) : String(most[name]))),
    ...parts.map(({ name, error, bound, ok, note }) => field(ok ? "ok" : "MISS", `${name}: ${error.toExponential(1)}, at most ${bound}${note ? `, ${note}` : ""}`)),
  ];
}

const field = (name: string, value: string) => `${name.padEnd(36)}${value}`;

const gib = (bytes: number) => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(0)} MiB`);
