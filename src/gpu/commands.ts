import type { Draft } from "./drafts.ts";
import type { CompiledKernel } from "./pipelines.ts";
import { bufferUsage } from "./usage.ts";
import type { VariantChoice } from "./variant_choices.ts";

/** One dispatch, ready to encode: made once, encoded once (eager) or at every replay (step). */
export interface Command {
  readonly compiled: CompiledKernel;
  readonly bindGroup: GPUBindGroup;
  /** Dynamic offset of the params, or none. */
  readonly offsets: readonly number[];
  readonly grid: readonly [number, number, number];
  readonly scope: string;
  readonly kernel: string;
  /** Element types and constants, as shown in profiles. */
  readonly variant: string;
  readonly flops: number;
  readonly bytes: number;
  readonly choice: VariantChoice | undefined;
}

const slotBytes = 256; // minUniformBufferOffsetAlignment of every device
const slotsPerPage = 256;
const uniformUsage = bufferUsage.uniform | bufferUsage.copyDestination;

interface Page {
  readonly buffer: GPUBuffer;
  readonly data: ArrayBuffer;
  readonly id: number;
  used: number;
}

/** Where one dispatch's params are packed. */
export interface ParamsSlot {
  readonly buffer: GPUBuffer;
  readonly pageId: number;
  readonly offset: number;
  readonly view: DataView;
}

/**
 * Uniform buffers in pages of 256 slots. Params are packed on the host and uploaded with one write a page:
 * ten times cheaper than a buffer a dispatch. Writes are ordered with submits, so pages are reused after each.
 */
export class ParamsPages {
  readonly #device: GPUDevice;
  readonly #pages: Page[] = [];
  static #nextId = 1;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  reserve(): ParamsSlot {
    let page = this.#pages.find((candidate) => candidate.used < slotsPerPage);
    if (!page) {
      const size = slotBytes * slotsPerPage;
      const buffer = this.#device.createBuffer({ size, usage: uniformUsage, label: "params" });
      page = { buffer, data: new ArrayBuffer(size), id: ParamsPages.#nextId++, used: 0 };
      this.#pages.push(page);
    }
    const offset = slotBytes * page.used++;
    return { buffer: page.buffer, pageId: page.id, offset, view: new DataView(page.data, offset, slotBytes) };
  }

  /** Writes all reserved slots to the device. */
  upload(): void {
    for (const page of this.#pages) {
      if (page.used > 0) this.#device.queue.writeBuffer(page.buffer, 0, page.data, 0, page.used * slotBytes);
    }
  }

  /** Forgets the reserved slots; the pages stay. */
  reset(): void {
    for (const page of this.#pages) page.used = 0;
  }

  destroy(): void {
    for (const page of this.#pages) page.buffer.destroy();
    this.#pages.length = 0;
  }
}

/** The binding of params: one slot, the rest of the page reached by the dynamic offset. */
function paramsBinding(slot: ParamsSlot): GPUBufferBinding {
  return { buffer: slot.buffer, offset: 0, size: slotBytes };
}

/** Bind groups by layout, params page and buffer ranges: creating one costs more than a whole cached dispatch. */
export class BindGroupCache {
  readonly #device: GPUDevice;
  readonly #groups = new Map<string, GPUBindGroup>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Completes a draft whose buffers are there. */
  bind(draft: Draft): Command {
    return { ...draft.command, bindGroup: this.#groupOf(draft) };
  }

  #groupOf({ command: { compiled }, sources, slot }: Draft): GPUBindGroup {
    let key = `${compiled.id}:${slot?.pageId ?? ""}`;
    for (const { source } of sources) key += `:${source.buffer.id},${source.byteOffset},${source.byteLength}`;
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= 8192) this.#groups.clear();
      const entries: GPUBindGroupEntry[] = sources.map(({ index, source }) => ({
        binding: index,
        resource: { buffer: source.buffer.gpuBuffer, offset: source.byteOffset, size: source.byteLength },
      }));
      if (slot) entries.push({ binding: 0, resource: paramsBinding(slot) });
      group = this.#device.createBindGroup({ layout: compiled.layout, entries });
      this.#groups.set(key, group);
    }
    return group;
  }

  clear(): void {
    this.#groups.clear();
  }
}

/** Most dispatches of one submission: a query set holds 4,096 timestamps, two a dispatch that is profiled. */
export const mostPasses = 2048;

/**
 * How much work one submission may hold. Drivers kill a submission that runs for seconds, so the device's rate
 * is measured as submissions complete and the next ones are cut to about `targetMs`.
 */
export class SubmissionSizer {
  readonly targetMs = 250;
  #unitsPerMs = 2e6;
  #lastDone = 0;

  /** Work of a dispatch in units of about one floating-point operation. */
  static cost(command: Command): number {
    return command.flops + 2 * command.bytes + 2e4;
  }

  get budget(): number {
    return this.#unitsPerMs * this.targetMs;
  }

  /** To be called when a submission of `units` sent at `sentMs` is done. */
  completed(units: number, sentMs: number): void {
    const now = performance.now();
    const elapsed = now - Math.max(sentMs, this.#lastDone);
    this.#lastDone = now;
    // Small submissions measure latency, not rate.
    if (units < 1e7 || elapsed < 1) return;
    this.#unitsPerMs = Math.max(1e5, 0.5 * this.#unitsPerMs + 0.5 * (units / elapsed));
  }
}
