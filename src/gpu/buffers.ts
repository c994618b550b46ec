import { OutOfMemoryError } from "../errors.ts";
import { bufferUsage } from "./usage.ts";

/** A storage buffer of the pool. `id` is never reused, so caches may key on it. */
export interface PooledBuffer {
  readonly id: number;
  readonly gpuBuffer: GPUBuffer;
  readonly size: number;
  /** Scope that acquired it, for the ledger. */
  scope: string;
  references: number;
  readonly owner: BufferArena;
}

/** Bytes on the device. `byScope` splits `live` by the scope that acquired each buffer. */
export interface MemoryReport {
  /** Bytes of the buffers of tensors that were not freed. */
  live: number;
  /** Bytes of released buffers that are kept for reuse; `gpu.trim` gives them back. */
  pooled: number;
  /** Most live bytes so far. */
  peak: number;
  /** Most bytes held so far, pooled ones included: what the device had to have. */
  peakHeld: number;
  /** Most live and pooled bytes; Infinity where only the device bounds them. */
  budget: number;
  /** Live bytes by scope path such as `unet/down_blocks.1`, the most first; "" is what no scope made. */
  byScope: Record<string, number>;
}

/** Who hands out and takes back buffers: the pool itself, or a recorded step's private arena. */
export interface BufferArena {
  acquire(bytes: number, scope: string): PooledBuffer;
  release(buffer: PooledBuffer): void;
}

const storageUsage = bufferUsage.storage | bufferUsage.copyDestination | bufferUsage.copySource;
const smallest = 256;

/** Sizes are rounded up to a thirty-second of their power of two: at most 3 % of a large buffer is slack. */
export function sizeClass(bytes: number): number {
  if (bytes <= smallest) return smallest;
  const step = Math.max(smallest, 2 ** (Math.floor(Math.log2(bytes)) - 5));
  return Math.ceil(bytes / step) * step;
}

/**
 * Storage buffers with a byte ledger. Released buffers are kept for reuse until the pool would exceed
 * `keepBytes`, or the budget needs them. Destroyed memory comes back at the next submit, so `trim` submits.
 */
export class BufferPool implements BufferArena {
  readonly #device: GPUDevice;
  readonly #free = new Map<number, PooledBuffer[]>();
  readonly #liveByScope = new Map<string, number>();
  #nextId = 1;
  #live = 0;
  #pooled = 0;
  #peak = 0;
  #peakHeld = 0;
  /** All buffers that were not destroyed. */
  readonly #buffers = new Set<GPUBuffer>();
  readonly #watch: (failure: Promise<Error | undefined>) => void;
  readonly #beforeTrim: () => void;
  readonly budget: number;
  keepBytes: number;
  /** Told of every buffer that is acquired (bytes above 0) or released, and of the bytes that are pooled from then on. */
  observer: ((scope: string, bytes: number, pooled: number) => void) | undefined;

  /**
   * `watch` is told of allocations that may fail on the device; its promise gives the OutOfMemoryError, if any.
   * `beforeTrim` submits the work that was recorded: released buffers may be part of it.
   */
  constructor(device: GPUDevice, options: { budget: number; keepBytes: number; watch: (failure: Promise<Error | undefined>) => void; beforeTrim: () => void }) {
    this.#device = device;
    this.#watch = options.watch;
    this.#beforeTrim = options.beforeTrim;
    this.budget = options.budget;
    this.keepBytes = options.keepBytes;
  }

  /** A buffer of at least `bytes`. Throws OutOfMemoryError past the budget. Contents are undefined. */
  acquire(bytes: number, scope: string): PooledBuffer {
    const size = sizeClass(bytes);
    const limit = this.#device.limits.maxBufferSize;
    if (size > limit) throw new OutOfMemoryError(size, this.#live, this.#peak, `one buffer may hold ${limit} bytes on this device (${scope})`);
    let buffer = this.#free.get(size)?.pop();
    if (buffer) {
      this.#pooled -= size;
    } else {
      if (this.#live + this.#pooled + size > this.budget) this.trim();
      if (this.#live + size > this.budget) {
        throw new OutOfMemoryError(size, this.#live, this.#peak, `the budget is ${Math.round(this.budget / 2 ** 20)} MiB (${scope || "no scope"})`);
      }
      const gpuBuffer = this.#create(size, scope);
      buffer = { id: this.#nextId++, gpuBuffer, size, scope, references: 0, owner: this };
    }
    buffer.scope = scope;
    buffer.references = 1;
    this.#live += size;
    this.#liveByScope.set(scope, (this.#liveByScope.get(scope) ?? 0) + size);
    this.#peak = Math.max(this.#peak, this.#live);
    this.#peakHeld = Math.max(this.#peakHeld, this.#live + this.#pooled);
    this.observer?.(scope, size, this.#pooled);
    return buffer;
  }

  #create(size: number, scope: string): GPUBuffer {
    const device = this.#device;
    device.pushErrorScope("out-of-memory");
    const buffer = device.createBuffer({ size, usage: storageUsage, label: scope });
    const [live, peak] = [this.#live, this.#peak];
    this.#watch(device.popErrorScope().then((error) => (error ? new OutOfMemoryError(size, live, peak, `the device has no more (${scope || "no scope"})`) : undefined)));
    this.#buffers.add(buffer);
    return buffer;
  }

  /** Takes a buffer back. Work already recorded with it stays valid: the queue runs in order. */
  release(buffer: PooledBuffer): void {
    const { size, scope } = buffer;
    this.#live -= size;
    const left = (this.#liveByScope.get(scope) ?? 0) - size;
    if (left > 0) this.#liveByScope.set(scope, left);
    else this.#liveByScope.delete(scope);
    const list = this.#free.get(size);
    if (list) list.push(buffer);
    else this.#free.set(size, [buffer]);
    this.#pooled += size;
    this.observer?.(scope, -size, this.#pooled);
  }

  /** Whether released buffers hold more than `keepBytes`. */
  get overfull(): boolean {
    return this.#pooled > this.keepBytes;
  }

  /** Gives every released buffer back to the device. */
  trim(): void {
    this.#beforeTrim();
    for (const list of this.#free.values()) {
      for (const { gpuBuffer } of list) {
        gpuBuffer.destroy();
        this.#buffers.delete(gpuBuffer);
      }
    }
    this.#free.clear();
    this.#pooled = 0;
    this.observer?.("", 0, 0);
    this.#device.queue.submit([]);
  }

  /** Destroys every buffer, live ones too. */
  destroy(): void {
    if (this.#buffers.size === 0) return;
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.clear();
    this.#free.clear();
    this.#device.queue.submit([]);
  }

  /** Starts a new peak measurement from the present bytes. */
  resetPeak(): void {
    this.#peak = this.#live;
    this.#peakHeld = this.#live + this.#pooled;
  }

  report(): MemoryReport {
    const byScope = Object.fromEntries([...this.#liveByScope].sort(([, a], [, b]) => b - a));
    return { live: this.#live, pooled: this.#pooled, peak: this.#peak, peakHeld: this.#peakHeld, budget: this.budget, byScope };
  }
}
