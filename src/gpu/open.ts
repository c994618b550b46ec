import { NoAdapterError, UnsupportedError } from "../errors.ts";
import { type AdapterFacts, Gpu, type WaitForDevice } from "./gpu.ts";

/** Options of `openGpu`. */
export interface OpenOptions {
  /** A device of the caller's own: used as it is, never destroyed. */
  device?: GPUDevice;
  /** Handed to `requestAdapter`: which of several GPUs. Default: the system's choice. */
  powerPreference?: GPUPowerPreference;
  /** Most bytes that tensors may take. Default: `softwareBudget` on devices that compute on the CPU, else the device's own bound. */
  memoryBudget?: number;
  /** Budget on a device that computes on the CPU: such devices never say that they are out of memory. */
  softwareBudget?: number;
  /** How the host waits for a device that computes on the CPU. Default: it awaits the promise. */
  softwareWait?: WaitForDevice;
  /** Most bytes of one binding, where the device allows more; for tests and comparisons. */
  maxBindingBytes?: number;
  /** Optional features to leave unused even where present; for tests and comparisons. */
  without?: readonly GPUFeatureName[];
}

const optionalFeatures: readonly GPUFeatureName[] = ["shader-f16", "subgroups", "timestamp-query"];

/** Limits raised to what the adapter has; everything works within the defaults, larger shapes need less slicing. */
const raisedLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxStorageBuffersPerShaderStage",
] as const;

/** What an adapter says of itself. Throws NoAdapterError for Dawn's Null backend, which computes nothing. */
export function adapterFacts(info: GPUAdapterInfo): AdapterFacts {
  const { vendor, architecture, device, description } = info;
  const text = `${vendor} ${architecture} ${device} ${description}`.toLowerCase();
  if (text.includes("null backend")) throw new NoAdapterError("the only adapter is Dawn's Null backend, which computes nothing; install a Vulkan driver");
  const software = info.isFallbackAdapter === true || /llvmpipe|lavapipe|swiftshader|\bcpu\b/.test(text);
  return { vendor, architecture, device, description, software };
}

/** An adapter's name for people. */
export function adapterName({ vendor, architecture, device }: AdapterFacts): string {
  return [vendor, architecture, device].filter(Boolean).join(" ");
}

/** Opens a device on `gpu` (a browser's navigator.gpu, or Dawn's) with the optional features that it has. */
export async function openGpuOn(gpu: GPU | undefined, options: OpenOptions, advice: string): Promise<Gpu> {
  const settings = (adapter: AdapterFacts) => ({
    adapter,
    maxBindingBytes: options.maxBindingBytes,
    memoryBudget: options.memoryBudget ?? (adapter.software ? options.softwareBudget : undefined),
    wait: adapter.software ? options.softwareWait : undefined,
  });
  if (options.device) {
    return new Gpu({ device: options.device, ...settings(adapterFacts(options.device.adapterInfo)), ownsDevice: false });
  }
  if (!gpu) throw new NoAdapterError(`WebGPU is not available; ${advice}`);
  const adapter = await gpu.requestAdapter({ powerPreference: options.powerPreference });
  if (!adapter) throw new NoAdapterError(`no WebGPU adapter; ${advice}`);
  const facts = adapterFacts(adapter.info);
  // Kernels that work by subgroups ask which one they are in: older browsers have subgroups without telling that.
  const usable = (name: GPUFeatureName) => name !== "subgroups" || gpu.wgslLanguageFeatures.has("subgroup_id");
  const requiredFeatures = optionalFeatures.filter((name) => adapter.features.has(name) && usable(name) && !options.without?.includes(name));
  const requiredLimits = Object.fromEntries(raisedLimits.map((name) => [name, adapter.limits[name]]));
  if (adapter.limits.maxStorageBuffersPerShaderStage < 8) {
    throw new UnsupportedError("attnscope", "8 storage buffers a shader stage", String(adapter.limits.maxStorageBuffersPerShaderStage), "use another device");
  }
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits, label: "attnscope" });
  return new Gpu({ device, ...settings(facts) });
}
