import { totalmem } from "node:os";
import { NoAdapterError } from "../errors.ts";
import type { Gpu } from "./gpu.ts";
import { type OpenOptions, openGpuOn } from "./open.ts";
import { restUntil } from "./rest_node.ts";

/** Options of Dawn: `f16` also on NVIDIA, exact timestamps. */
const dawnOptions = ["enable-dawn-features=vulkan_enable_f16_on_nvidia", "disable-dawn-features=timestamp_quantization"];

// Dawn crashes when the object that create() returned is collected while a device still works: it is kept for ever.
let dawn: GPU | undefined;

async function loadDawn(): Promise<GPU> {
  if (dawn) return dawn;
  let module: typeof import("webgpu");
  try {
    module = await import("webgpu");
  } catch (cause) {
    throw new NoAdapterError("the package webgpu (Dawn for Node) is not installed or has no binary for this platform; run: npm install webgpu", { cause });
  }
  const names = Object.keys(module.globals);
  for (const name of names) (globalThis as Record<string, unknown>)[name] ??= module.globals[name as keyof typeof module.globals];
  dawn = module.create(dawnOptions);
  return dawn;
}

/**
 * Opens the first adapter that Dawn finds, or wraps the caller's device. On a device that computes on the CPU the
 * memory budget defaults to four fifths of the machine's memory, and whoever waits for it leaves it the cores.
 */
export async function openGpu(options: OpenOptions = {}): Promise<Gpu> {
  const gpu = options.device ? undefined : await loadDawn();
  return openGpuOn(gpu, { softwareBudget: 0.8 * totalmem(), softwareWait: restUntil, ...options }, "run `npx attnscope doctor`: it says what to install");
}
