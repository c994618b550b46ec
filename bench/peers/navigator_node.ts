import { create, globals } from "webgpu";
import type { WaitForDevice } from "../../src/gpu/gpu.ts";
import { adapterFacts } from "../../src/gpu/open.ts";
import { restUntil } from "../../src/gpu/rest_node.ts";
import type { EngineFacts } from "./engine.ts";

// Kept for ever: Dawn crashes where it is collected while a device works.
let gpu: GPU | undefined;

/** The adapter that an engine runs on, and how it is waited for: as the product does it. */
export interface NavigatorGpu {
  facts: Omit<EngineFacts, "version">;
  wait: WaitForDevice;
}

/** Gives this process the WebGPU of a browser, on the adapter that the product uses. */
export async function provideNavigatorGpu(): Promise<NavigatorGpu> {
  Object.assign(globalThis, globals);
  gpu = create([]);
  acceptSharedMemory();
  Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "node", hardwareConcurrency: 1 }, configurable: true });
  const info = (await gpu.requestAdapter())?.info;
  if (!info) throw new Error("Dawn finds no adapter");
  const { device, description: driver, software } = adapterFacts(info);
  // Dawn for Node turns the event loop while it waits, which would take a core from the device.
  return software ? { facts: { device, driver, note: "waited for asleep, as attnscope waits" }, wait: restUntil } : { facts: { device, driver }, wait: (done) => done };
}

/** Browsers take views of shared memory, as WebAssembly threads have it; Dawn for Node does not. */
function acceptSharedMemory(): void {
  const { prototype } = (globals as unknown as { GPUQueue: { prototype: GPUQueue } }).GPUQueue;
  const write = prototype.writeBuffer as (...args: unknown[]) => undefined;
  prototype.writeBuffer = function (this: GPUQueue, buffer: GPUBuffer, bufferOffset: number, data: unknown, ...range: unknown[]) {
    const isShared = data instanceof Uint8Array && data.buffer instanceof SharedArrayBuffer;
    return write.call(this, buffer, bufferOffset, isShared ? new Uint8Array(data) : data, ...range);
  };
}
