import { DeviceError } from "../errors.ts";
import { Gpu } from "./gpu.ts";

/** What plans depend on of a device. */
export interface PlannedDevice {
  /** Computes on the CPU. Default false. */
  software?: boolean;
  /** Optional features. Default: shader-f16. */
  features?: Iterable<string>;
  /** Lanes of its smallest subgroup. Default 0: it has none. */
  subgroupLanes?: number;
  /** Most bytes of one binding. Default: what every WebGPU device allows. */
  maxBindingBytes?: number;
}

const everyDevice = 128 * 2 ** 20;

/** A Gpu without a device, for `plan`: what needs a device throws DeviceError. */
export function openPlanner({ software = false, features = ["shader-f16"], subgroupLanes = 0, maxBindingBytes = everyDevice }: PlannedDevice = {}): Gpu {
  const facts = { features: new Set(features), adapterInfo: { subgroupMinSize: subgroupLanes }, limits: { maxStorageBufferBindingSize: maxBindingBytes }, lost: new Promise(() => undefined) };
  const device = new Proxy(facts, {
    get(target, name) {
      if (name in target) return target[name as keyof typeof target];
      throw new DeviceError(`a planner has no device for ${String(name)}; it can only plan`);
    },
  });
  const adapter = { vendor: "", architecture: "", device: "none", description: "a plan without a device", software };
  return new Gpu({ device: device as unknown as GPUDevice, adapter, ownsDevice: false });
}
