import { create, globals } from "webgpu";
import type { EngineFacts } from "./engine.ts";

// Kept for ever: Dawn crashes where it is collected while a device works.
let gpu: GPU | undefined;

/** Gives this process the WebGPU of a browser, on the adapter that the product uses, and says which one that is. */
export async function provideNavigatorGpu(): Promise<Pick<EngineFacts, "device" | "driver">> {
  Object.assign(globalThis, globals);
  gpu = create([]);
  acceptSharedMemory();
  Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "node", hardwareConcurrency: 1 }, configurable: true });
  const info = (await gpu.requestAdapter())?.info;
  if (!info) throw new Error("Dawn finds no adapter");
  return { device: info.device, driver: info.description };
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
